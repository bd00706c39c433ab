"""`make adopt`: what it changes, what it refuses, and that a failure leaves everything as it was."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from adoption.adopt.transform import deleted, project_name, without_users
from adoption.git import Repository
from adoption.record import PATH, Record
from tests.adoption.adopt.copies import (
    COPIES,
    NOBODY,
    NOT_RENAMED,
    OLD_NAME,
    ROOT,
    adopt,
    clone,
    environment,
    mentions,
    publish,
    run,
    save,
    state,
)
from tests.git import needs_git

pytestmark = needs_git

EXAMPLE = re.compile(rb"\w*(?<![a-z])notes?(?![a-z])\w*", re.IGNORECASE)
"""Its name, also as a part of an identifier, but not of words such as footnote and annotations."""

DEV, PRODUCTION = (f"k8s/overlays/{name}/kustomization.yaml" for name in ("dev", "production"))
USERS = "../../components/identity"


@pytest.fixture(scope="module")
def whole(of_nobody: None, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The project in a repository that nobody changes."""
    return publish(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module", params=COPIES.values(), ids=[*COPIES])
def copy(request: pytest.FixtureRequest, whole: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = clone(whole, tmp_path_factory.mktemp("copy") / "project")
    done = adopt(repository, **request.param)
    assert done.returncode == 0, done.stderr
    return repository


def arguments(repository: Repository) -> dict[str, str]:
    record = Record.read(repository.root)
    assert record
    return dict(record.arguments)


def read(repository: Repository, path: str) -> str:
    return (repository.root / path).read_text(encoding="utf-8")


def test_the_old_name_is_nowhere(copy: Repository) -> None:
    assert mentions(copy, OLD_NAME) <= NOT_RENAMED
    assert project_name(copy.root) == (arguments(copy)["NAME"], "0.1.0")


def test_the_new_name_is_in_the_places_of_the_old_one(copy: Repository) -> None:
    given = arguments(copy)
    address = given["REPOSITORY"] or f"https://git.example.com/{given['NAME']}"

    for path, text in (
        ("ctlptl.yaml", f"\nname: k3d-{given['NAME']} "),
        ("k8s/istio/sidecar.yaml", f"\n  namespace: {given['NAME']}\n"),
        ("service/pages/static/index.html", f">{given['TITLE']}<"),
        ("k8s/observability/prometheus/rules/runbooks.yaml", f"url: {address}/blob/main/docs/ "),
    ):
        assert text in read(copy, path), path


def test_what_is_not_true_of_another_service_is_gone(copy: Repository) -> None:
    files = copy.paths("ls-files")
    readme = read(copy, "README.md")

    assert not [path for path in files if "measured/" in path or path.endswith("baseline.json")]
    assert readme.startswith(f"# {arguments(copy)['TITLE']}\n\nTODO: ")
    assert "](docs/architecture.md)" in readme
    assert not re.search(r"\{\w+\}", readme)
    assert ("make upgrade REPOSITORY=" in readme) is not bool(arguments(copy)["REPOSITORY"])
    assert len(read(copy, "CHANGELOG.md").splitlines()) < 15
    assert read(copy, "LICENSE") == (ROOT / "LICENSE").read_text()


def test_the_example_is_dropped_only_if_that_was_asked_for(copy: Repository) -> None:
    found = [path for path in copy.root.rglob("*notes*") if ".git" not in path.parts]

    assert bool(found) is (arguments(copy)["EXAMPLE"] == "keep")
    if not found:
        kept = {path: (copy.root / path).read_bytes() for path in copy.paths("ls-files")}
        assert not {path: names for path, text in kept.items() if (names := EXAMPLE.findall(text))}


@pytest.mark.parametrize("example", ["keep", "drop"])
@pytest.mark.parametrize(
    "path", ["a/notes/b.py", "0001_notes.sql", "a/0002_notes_tags.sql", "a/notes.json", "notes", "a/notes_tags/b.sql"]
)
def test_the_files_of_the_example(example: str, path: str) -> None:
    assert deleted(path, example, "yes") is (example == "drop")
    assert not deleted(path.replace("notes", "footnotes"), example, "yes")


def test_there_are_users_unless_none_were_asked_for(copy: Repository) -> None:
    """What `make dev IDENTITY=yes` needs stays."""
    has_users = arguments(copy)["IDENTITY"] == "yes"
    dev, production = (yaml.safe_load(read(copy, path)) for path in (DEV, PRODUCTION))

    assert dev.get("components") == ([USERS, f"{USERS}-provider"] if has_users else None)
    assert (USERS in production["components"]) is has_users
    assert dev["resources"] == ["../dev-without-identity"]
    for patch in production["patches"]:
        assert (copy.root / "k8s/overlays/production" / patch["path"]).exists()
    patched = [path for path in copy.paths("ls-files", "k8s/overlays/production") if "identity" in path]
    assert bool(patched) is has_users
    assert (copy.root / "k8s/components/identity-provider/dex.yaml").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("resources:\n  - ../base\n", "resources:\n  - ../base\n"),
        (
            "resources:\n  - ../dev-without-identity\ncomponents:\n  - ../../components/identity\n",
            "resources:\n  - ../dev-without-identity\n",
        ),
        (
            "components:\n  - ../../components/identity\n  - ../canary\nimages: []\n",
            "components:\n  - ../canary\nimages: []\n",
        ),
        ("components:\n  - ../../components/identity-provider\nkind: K\n", "kind: K\n"),
        (
            "patches:\n  - path: identity-b.yaml\n    target: { kind: B }\n  - path: c.yaml\n    target: {}\n",
            "patches:\n  - path: c.yaml\n    target: {}\n",
        ),
        (
            "images:\n  - name: identity-card\n    newTag: 0.1.0\n",
            "images:\n  - name: identity-card\n    newTag: 0.1.0\n",
        ),
    ],
)
def test_a_kustomization_without_users(before: str, after: str) -> None:
    assert without_users(before) == after


def test_the_readme_has_the_commands_of_a_service_with_users_or_without(copy: Repository) -> None:
    has_users = arguments(copy)["IDENTITY"] == "yes"
    commands = re.findall(r"(?m)^\$ (.+)$", read(copy, "README.md"))

    signed_in = '-H "Authorization: Bearer $(make token)" ' if has_users else ""
    assert commands == ["make dev", f"curl {signed_in}http://localhost:8080/"]
    assert ("identity provider in place of example.com" in read(copy, "README.md")) is has_users


def test_a_folder_of_which_only_bytecode_is_left_is_gone(project: Repository) -> None:
    bytecode = project.root / "tests" / "notes" / "ingress" / "__pycache__"
    bytecode.mkdir()
    (bytecode / "notes.pyc").touch()

    assert adopt(project, NAME="harbor", EXAMPLE="drop").returncode == 0

    assert not (project.root / "tests" / "notes").exists()
    assert (project.root / "tests" / "__init__.py").exists()


def test_what_only_an_adoption_needs_is_gone(copy: Repository) -> None:
    assert not [path for path in copy.paths("ls-files") if "adoption/adopt/" in path or path.endswith("/adopt.yml")]
    shown = subprocess.run(
        ("make", "help"), cwd=copy.root, env=environment(), capture_output=True, text=True, check=True
    )
    assert re.search(r"(?m)^  make upgrade ", shown.stdout)
    assert not re.search(r"(?m)^  make (test-)?adopt ", shown.stdout)


def test_one_commit_and_the_branch_upstream(copy: Repository, whole: Repository) -> None:
    before = whole.git("rev-parse", "HEAD")

    assert copy.git("rev-list", f"{before}..HEAD") == copy.git("rev-parse", "upstream")
    assert copy.git("status", "--porcelain") == ""
    record = Record.read(copy.root)
    assert record
    assert (record.name, record.version, record.commit) == (*project_name(ROOT), before)
    assert record.repository == whole.root.as_uri()


@pytest.mark.parametrize(
    "check",
    [
        ("ruff", "check", "--quiet", "."),
        ("ruff", "format", "--check", "--quiet", "."),
        ("yamllint", "--strict", "k8s", "ctlptl.yaml"),
        ("checks.links",),
    ],
    ids=" ".join,
)
def test_the_copy_is_in_its_style(copy: Repository, check: tuple[str, ...]) -> None:
    done = run(copy, "-m", *check)

    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_that_is_wrong_is_reported_at_once_and_nothing_is_changed(project: Repository) -> None:
    (project.root / "mine.txt").touch()
    project.git("branch", "upstream")
    before = state(project)

    done = adopt(project, NAME="Harbor", EXAMPLE="dorp", IDENTITY="maybe")

    assert done.returncode == 1
    first, *lines = done.stderr.splitlines()
    assert first == "make adopt: nothing was changed:"
    for line, begin in zip(
        lines,
        ("the tree has changes", "there is a branch upstream", "NAME=Harbor", "EXAMPLE=dorp", "IDENTITY=maybe"),
        strict=True,
    ):
        assert line.startswith(f"  {begin}")
    assert state(project) == before


def test_make_passes_on_the_arguments_of_its_command_line_only(project: Repository) -> None:
    (project.root / "mine.txt").touch()  # so that nothing is done
    command = ("make", "adopt", f"PYTHON={sys.executable}")

    def printed(*arguments: str, **variables: str) -> str:
        done = subprocess.run(
            (*command, *arguments), cwd=project.root, env=environment(**variables), capture_output=True, text=True
        )
        return done.stderr

    assert "NAME is missing" in printed(NAME="laptop")
    assert "NAME=it's is not a name" in printed("NAME=it's", NAME="laptop")
    assert "EXAMPLE" not in printed("NAME=harbor", EXAMPLE="dorp")
    assert "IDENTITY" not in printed("NAME=harbor", IDENTITY="maybe")  # that of `make dev`
    assert "IDENTITY=maybe is neither yes nor no" in printed("NAME=harbor", "IDENTITY=maybe")


def test_a_change_that_is_not_committed_is_named(project: Repository) -> None:
    (project.root / "Makefile").write_text("")

    done = adopt(project, NAME="harbor")

    assert "the tree has changes that are not committed (Makefile): commit them, or `git stash -u`" in done.stderr
    assert read(project, "Makefile") == ""


def test_a_new_file_is_seen_also_if_git_is_told_not_to_show_it(project: Repository) -> None:
    project.git("config", "status.showUntrackedFiles", "no")
    (project.root / "mine.txt").touch()

    done = adopt(project, NAME="harbor")

    assert "the tree has changes that are not committed (mine.txt)" in done.stderr
    assert (project.root / "mine.txt").exists()


def test_a_second_adoption_is_refused(project: Repository) -> None:
    record = Record("keel", "1", "", "0" * 40, {})
    (project.root / PATH).write_text(record.text())
    save(project, "An adoption")

    done = adopt(project, NAME="harbor")

    assert f"the project is adopted already, as {PATH} says: `make upgrade`" in done.stderr


def test_an_adoption_that_was_undone_can_be_repeated(harbor: Repository) -> None:
    harbor.git("reset", "--quiet", "--hard", "HEAD~1")

    assert adopt(harbor, NAME="marina").returncode == 0

    assert harbor.git("rev-parse", "upstream") == harbor.git("rev-parse", "HEAD")
    assert project_name(harbor.root)[0] == "marina"


def test_a_folder_without_a_repository_or_in_another_one_is_refused(published: Repository, tmp_path: Path) -> None:
    outer = Repository(tmp_path)
    inner = clone(published, tmp_path / "inner")
    (inner.root / ".git").rename(tmp_path / "aside")
    assert "clone the project, or run `git init`" in adopt(inner, NAME="harbor").stderr

    outer.git("init", "--quiet")
    assert "inner is a folder of another git repository" in adopt(inner, NAME="harbor").stderr

    inner.git("init", "--quiet")
    assert "the repository has no commit: commit the project's files" in adopt(inner, NAME="harbor").stderr


def test_the_name_of_a_file_that_exists_is_refused(project: Repository) -> None:
    for name in (OLD_NAME, "harbor"):
        (project.root / "docs" / f"{name}.svg").touch()
    save(project, "A file whose new name is the name of another one")
    before = state(project)

    done = adopt(project, NAME="harbor")

    assert done.stderr == "make adopt: NAME=harbor cannot be used: docs/harbor.svg exists already\n"
    assert state(project) == before


def test_git_says_who_is_missing(project: Repository) -> None:
    before = state(project)

    done = adopt(project, NAME="harbor", **NOBODY)

    assert re.search(r"(?s)no commit can be made: git var failed: .*git config --global user\.email", done.stderr)
    assert state(project) == before


def failures(project: Repository) -> Iterator[dict[str, str]]:
    """Makes a late step fail; each time with the variables to give."""
    yield {"RUFF": str(project.root / "no-ruff")}
    yield {"RUFF": "false"}
    lock = project.root / ".git" / "refs" / "heads" / "upstream.lock"
    lock.touch()
    yield {}
    lock.unlink()


def test_a_failure_midway_restores_everything(project: Repository) -> None:
    before = state(project)

    for variables in failures(project):
        done = adopt(project, NAME="harbor", EXAMPLE="drop", **variables)

        assert done.returncode == 1
        assert done.stderr.startswith("make adopt: ")
        assert "Traceback" not in done.stderr
        assert state(project) == before

    assert adopt(project, NAME="harbor").returncode == 0


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_signals_that_come_again_and_again_do_not_stop_the_restoring(
    project: Repository, tmp_path: Path, name: str
) -> None:
    """To all of its processes, as a terminal does it."""
    before = state(project)
    ruff = tmp_path / "ruff"
    repeat = f"while kill -0 $PPID; do kill -s {name} -- -$PPID; done"
    ruff.write_text(f"#!/bin/sh\ntrap '' {name}\nkill -s {name} -- -$PPID\n({repeat}) >{os.devnull} 2>&1 &\n")
    ruff.chmod(0o755)

    done = subprocess.run(
        (sys.executable, "-m", "adoption.adopt"),
        cwd=project.root,
        env={**environment(NAME="harbor", EXAMPLE="drop"), "RUFF": str(ruff)},
        capture_output=True,
        check=False,
        process_group=0,
    )

    assert done.returncode != 0
    assert state(project) == before


def test_a_file_that_cannot_be_renamed_is_an_error(project: Repository) -> None:
    (project.root / "docs" / (OLD_NAME * 34)).touch()  # 238 characters, and 340 afterwards
    save(project, "A long name")
    before = state(project)

    done = adopt(project, NAME="aquamarine")

    assert done.returncode == 1
    assert "everything is as it was: the files cannot be changed: " in done.stderr
    assert "Traceback" not in done.stderr
    assert state(project) == before


def test_the_address_is_that_of_the_remote_which_the_branch_follows(project: Repository) -> None:
    project.git("remote", "rename", "origin", "theirs")
    theirs = project.git("remote", "get-url", "theirs")
    project.git("remote", "add", "origin", "https://git.example.com/elsewhere")

    assert adopt(project, NAME="harbor").returncode == 0

    record = Record.read(project.root)
    assert record
    assert record.repository == theirs


def test_the_address_is_that_of_the_only_remote(project: Repository) -> None:
    project.git("remote", "rename", "origin", "theirs")
    project.git("checkout", "--quiet", "--detach")

    assert adopt(project, NAME="harbor").returncode == 0

    record = Record.read(project.root)
    assert record
    assert record.repository == project.git("remote", "get-url", "theirs")


def test_a_password_in_the_address_of_the_upstream_is_not_recorded(project: Repository) -> None:
    project.git("remote", "set-url", "origin", "https://ada:secret@git.example.com/project")

    assert adopt(project, NAME="harbor").returncode == 0

    record = Record.read(project.root)
    assert record
    assert record.repository == "https://git.example.com/project"


def test_what_is_left_to_a_person_is_listed(project: Repository) -> None:
    (project.root / ".workbench").mkdir()

    done = adopt(project, NAME="harbor")

    for word in ("LICENSE", "SECURITY.md", "example.com", "git remote set-url", "make reset", "REPOSITORY="):
        assert re.search(rf"(?m)^  .*{word}", done.stdout), word
