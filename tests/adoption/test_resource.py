"""A new resource passes lint and its own tests as it is, and a wrong name changes nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adoption.errors import AdoptionError
from adoption.resource import RESERVED, ROOT, TEMPLATE, plural_of, write
from harness.sandbox import Sandbox
from tests.ingress import test_ops_hidden
from tests.service.databases import Connection

PYTHON = sys.executable
NAMES = ("quokka", "quokka_burrow", "q", "w" * 29)
"""No service has them already."""


def copied(folder: Path) -> Path:
    """What the service and its ingress tests need."""
    Sandbox(folder, "harness", "tests", "adoption", "cluster")
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for tests in which nothing may be written."""
    return copied(tmp_path_factory.mktemp("unchanged"))


def run(copy: Path, *command: str) -> None:
    done = subprocess.run(
        [PYTHON, "-m", *command],
        cwd=copy,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_a_new_resource_has_the_style_of_the_project(copy: Path) -> None:
    written = [str(path) for name in NAMES for path in write(name, root=copy) if path.suffix == ".py"]

    run(copy, "ruff", "check", *written)
    run(copy, "ruff", "format", "--check", *written)


def test_a_new_resource_passes_its_tests(copy: Path) -> None:
    write("quokka_burrow", root=copy)

    run(copy, "pytest", "-q", "tests/quokka_burrows", "tests/ingress/test_strangers.py")


def test_nothing_that_exists_is_edited(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    written = write("quokka", root=copy)

    assert {path: path.read_bytes() for path in before} == before
    assert {copy / path for path in written}.isdisjoint(before)


def test_the_migration_has_the_next_number(copy: Path) -> None:
    migrations = copy / "service" / "migrations"
    (migrations / "9041_boats.sql").write_text("SELECT 1;")

    assert Path("service/migrations/9042_quokkas.sql") in write("quokka", root=copy)


@pytest.mark.parametrize(
    ("name", "plural", "message"),
    [
        ("Booking", "", "NAME=Booking is not a name such as booking or berth_charge"),
        ("2nd", "", "NAME=2nd is not a name"),
        ("berth-charge", "", "NAME=berth-charge is not a name"),
        ("berth__charge", "", "NAME=berth__charge is not a name"),
        ("schlüssel", "", "NAME=schlüssel is not a name"),
        ("../booking", "", "is not a name"),
        ("class", "", "NAME=class is a word of Python"),
        ("list", "", "NAME=list is a word of Python"),
        ("x" * 31, "", "longer than 30 characters"),
        ("sheep", "sheep", "NAME and PLURAL are both sheep"),
        ("event", "", "PLURAL=events is taken: a table of the service"),
        ("page", "", "PLURAL=pages is taken: a path or a part of the service"),
        ("reference", "", "PLURAL=references is a word of PostgreSQL, and no name of a table"),
        ("overlap", "", "PLURAL=overlaps is a word of PostgreSQL"),
        ("crossing", "cross", "PLURAL=cross is a word of PostgreSQL"),
        ("statistic", "pg_statistic", "PLURAL=pg_statistic is a word of PostgreSQL"),
        ("field", "", "NAME=field would make a model Field, which is taken: the template of models.py"),
        ("title", "", "NAME=title would make a model Title, which is taken: the template of models.py"),
        ("base_model", "", "NAME=base_model would make a model BaseModel, which is taken: the template of models.py"),
        ("problem", "", "NAME=problem would make a model Problem, which is taken: service/web/openapi.py has it"),
        ("wrong_field", "", "would make a model WrongField, which is taken: service/web/openapi.py has it"),
        ("root", "", "NAME=root would make a model Root, which is taken: service/pages/models.py has it"),
        ("event", "happenings", "would make a model Event, which is taken: service/resource/feed.py has it"),
        ("fault", "", "tests/faults/ exists already"),
    ],
)
def test_a_wrong_name_is_refused_and_nothing_is_written(
    unchanged: Path, name: str, plural: str, message: str
) -> None:
    before = sorted(unchanged.rglob("*"))

    with pytest.raises(AdoptionError, match=re.escape(message)):
        write(name, plural, root=unchanged)

    assert sorted(unchanged.rglob("*")) == before


def make(*arguments: str, **environment: str) -> str:
    """What make prints. Its prerequisites do nothing, and the arguments are such that it writes nothing."""
    done = subprocess.run(
        ("make", "resource", "PYTHON=true", f"VENV_PYTHON={PYTHON}", *arguments),
        cwd=ROOT,
        env={**{name: value for name, value in os.environ.items() if not name.startswith("MAKE")}, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode != 0
    return done.stdout


def test_only_a_name_of_the_command_line_counts() -> None:
    """Some machines have their name in the environment."""
    assert "resource: which resource?" in make(NAME="Laptop")
    assert "NAME=Quokka is not a name" in make("NAME=Quokka", NAME="laptop")
    assert "Laptops" not in make("NAME=Quokka", PLURAL="Laptops")


@pytest.mark.parametrize("value", ["it's", 'a "b"', "; exit 3", "a b"])
def test_no_character_of_a_name_means_something_to_the_shell(value: str) -> None:
    assert f"resource: NAME={value} is not a name" in make(f"NAME={value}")
    assert f"resource: PLURAL={value} is not a name" in make("NAME=quokka", f"PLURAL={value}")


def test_a_resource_is_not_written_twice(copy: Path) -> None:
    write("quokka", root=copy)

    with pytest.raises(AdoptionError, match="service/domains/quokkas/ exists already"):
        write("quokka", root=copy)


@pytest.mark.parametrize("name", ["quokka", "quokka_page", "quokka_content"])
def test_a_model_of_another_resource_is_taken(copy: Path, name: str) -> None:
    write("quokka", root=copy)

    with pytest.raises(AdoptionError, match=r"is taken: service/domains/quokkas/models\.py has it"):
        write(name, "marsupials", root=copy)


@pytest.mark.parametrize("path", sorted(name for name in test_ops_hidden.NAMES if name.isalpha() and name.islower()))
def test_a_path_that_the_ingress_must_not_answer_is_taken(unchanged: Path, path: str) -> None:
    with pytest.raises(AdoptionError, match=f"PLURAL={path} is taken"):
        write("quokka", path, root=unchanged)


async def test_all_words_that_postgresql_refuses_as_a_table_are_refused(administration: Connection) -> None:
    words = await administration.fetch("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")

    assert {word for (word,) in words} == RESERVED


@pytest.mark.parametrize(
    ("name", "plural"),
    [
        ("booking", "bookings"),
        ("berth", "berths"),
        ("box", "boxes"),
        ("watch", "watches"),
        ("entry", "entries"),
        ("day", "days"),
    ],
)
def test_the_plural_follows_the_rules_of_english(name: str, plural: str) -> None:
    assert plural_of(name) == plural


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_no_other_file(copy: Path) -> None:
    (copy / "tests").rename(copy / "aside")
    (copy / "tests").touch()  # which is no folder
    before = sorted(copy.rglob("*"))

    with pytest.raises(AdoptionError, match=r"no file is written: .*/tests"):
        write("quokka", root=copy)

    assert sorted(copy.rglob("*")) == before


def test_every_file_of_the_template_is_used(copy: Path) -> None:
    templates = [path for path in TEMPLATE.rglob("*") if path.is_file()]

    assert len(write("quokka", root=copy)) == len(templates)
