"""NAME, TITLE, REPOSITORY, EXAMPLE and IDENTITY: which are accepted, and why the others are not."""

import re
from pathlib import Path

import pytest

from adoption.adopt.arguments import LONGEST_NAME, LONGEST_TITLE, Arguments
from adoption.adopt.taken import taken
from tests.adoption.adopt.copies import OLD_NAME, ROOT
from tests.k8s.kustomization import build
from tests.k8s.project import K8S
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine

TAKEN = taken(ROOT)


def wrong(**variables: str) -> list[str]:
    return Arguments.read({"NAME": "harbor", **variables}).check(OLD_NAME, TAKEN)


@pytest.mark.parametrize(
    "name",
    ["harbor", "a", "aardvark", "zz", "note", "way", OLD_NAME[:4], "s3-gateway-2", "n" + "o" * (LONGEST_NAME - 1)],
)
def test_a_name_that_can_be_used(name: str) -> None:
    assert wrong(NAME=name) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "NAME is missing: make adopt NAME=harbor"),
        *((name, "lower-case letters, digits and single hyphens") for name in ("Harbor", "2fast", "a_b", "a.b", "é")),
        *((name, "lower-case letters, digits and single hyphens") for name in ("-a", "a-", "a--b", "a b", "a\n")),
        ("n" * (LONGEST_NAME + 1), "has 33 characters, and k3d allows 32"),
        ("import", "is a keyword of Python"),
        (OLD_NAME, f"contains {OLD_NAME}"),
        (f"my-{OLD_NAME}2", f"contains {OLD_NAME}"),
        ("quart", "is taken: it is a package in requirements/all.txt"),
        ("yes", "is taken: YAML does not read it as a text"),
        ("grafana", "is taken: k8s/observability/grafana/deployment.yaml has an object of this name"),
        ("harness", "is taken: it is a folder of the project"),
        ("docs", "is taken: it is a folder of the project"),
        ("k3d-harbor", "begins with k3d- or kube-"),
        ("kube-system", "is taken: Kubernetes uses it"),
        ("lint", "is taken: Tilt has a resource of this name"),
    ],
)
def test_a_name_that_cannot_be_used(name: str, reason: str) -> None:
    [line] = wrong(NAME=name)

    assert reason in line
    assert name in line


def test_the_name_of_anything_else_in_the_project_is_taken(tmp_path: Path) -> None:
    objects = [item for overlay in ("dev", "production") for item in build(K8S / "overlays" / overlay)]
    resources = run(ROOT, Machine(tmp_path), context=f"k3d-{OLD_NAME}").resources
    names = {*resources, *(item["metadata"]["name"] for item in objects)}
    others = {re.sub("-[0-9a-z]{10}$", "", name) for name in names if OLD_NAME not in name}

    assert len(others) > 30
    assert {name for name in others if not wrong(NAME=name)} == set()


@pytest.mark.parametrize("title", ["Harbor", "Harbor Master 2", "H", "Lock-Keeper", "H" * LONGEST_TITLE])
def test_a_title_that_can_be_used(title: str) -> None:
    assert wrong(TITLE=title) == []


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        *(
            (title, "letters (A to Z, a to z), digits")
            for title in ("a: b", "A & B", "<b>", 'A "B"', "A's", "[A]", "A|B")
        ),
        *(
            (title, "letters (A to Z, a to z), digits")
            for title in (" A", "A  B", "A\nB", "{A}", "# A", "42", "Ä", "A$B")
        ),
        ("H" * (LONGEST_TITLE + 1), "has 41 characters"),
        ("Off", "is no text in YAML"),
        (f"New {OLD_NAME.capitalize()}", "contains the old name"),
    ],
)
def test_a_title_that_cannot_be_used(title: str, reason: str) -> None:
    [line] = wrong(TITLE=title)

    assert reason in line
    assert title in line


def test_the_title_is_the_name_in_words_by_default() -> None:
    assert Arguments.read({"NAME": "visitor-counter"}).title == "Visitor Counter"


@pytest.mark.parametrize(
    "address",
    ["https://git.example.com/harbor", "https://h:8443/a/b.c/harbor_2/", f"https://git.example.com/x-{OLD_NAME}"],
)
def test_a_repository_that_can_be_used(address: str) -> None:
    assert wrong(REPOSITORY=address) == []


@pytest.mark.parametrize(
    "address",
    [
        "git@git.example.com:harbor.git",
        "https://git.example.com/harbor.git",
        "http://git.example.com/harbor",
        "https://ada:secret@git.example.com/harbor",
        "https://git.example.com",
        "https://git.example.com/harbor?tab=readme",
        "https://git.example.com/a b",
        'https://git.example.com/"',
        "harbor",
    ],
)
def test_a_repository_that_cannot_be_used(address: str) -> None:
    [line] = wrong(REPOSITORY=address)

    assert line.startswith(f"REPOSITORY={address} is ")


def test_an_example_is_kept_or_dropped() -> None:
    assert wrong(EXAMPLE="drop") == wrong(EXAMPLE="keep") == wrong(EXAMPLE="") == []
    assert wrong(EXAMPLE="dorp") == ["EXAMPLE=dorp is neither keep nor drop"]


def test_there_are_users_or_not() -> None:
    assert wrong(IDENTITY="yes") == wrong(IDENTITY="no") == wrong(IDENTITY="") == []
    assert wrong(IDENTITY="on") == ["IDENTITY=on is neither yes nor no"]
    assert Arguments.read({"NAME": "harbor"}).variables()["IDENTITY"] == "yes"


def test_all_mistakes_are_reported_at_once() -> None:
    assert len(wrong(TITLE="<", REPOSITORY="-", EXAMPLE="-", IDENTITY="-")) == 4
