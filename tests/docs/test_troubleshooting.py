"""docs/troubleshooting.md: each row begins with a text that a program really prints."""

import re
from dataclasses import dataclass

import pytest

from tests.docs.messages import (
    HOLE,
    ROOT,
    Message,
    is_printed,
    nearest,
    normal,
    printed_by_programs,
    printed_by_tests,
)

PAGE = "docs/troubleshooting.md"
OTHER_PROGRAMS = {"Docker", "Kubernetes", "Linux", "PostgreSQL", "Tilt", "ctlptl"}
"""Their texts are not in our sources."""
SHORTEST = 10  # letters; fewer would be found anywhere


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    text: str
    printed_by: str


def rows() -> list[Row]:
    found = []
    for line, content in enumerate((ROOT / PAGE).read_text(encoding="utf-8").splitlines(), 1):
        cells = [cell.strip() for cell in content.split("|")[1:-1]]
        if len(cells) == 3 and cells[0] != "message" and not cells[0].startswith("---"):
            text = re.match(r"(`+)(.+?)\1", cells[0])
            assert text, f"{PAGE}:{line}: the row does not begin with a text in backticks: {cells[0]}"
            found.append(Row(line, text[2], cells[1]))
    return found


OURS = [row for row in rows() if row.printed_by not in OTHER_PROGRAMS]


@pytest.fixture(scope="module")
def programs() -> list[Message]:
    return printed_by_programs()


@pytest.fixture(scope="module")
def tests() -> list[Message]:
    return printed_by_tests()


def problem(row: Row, messages: list[Message]) -> str | None:
    """What is wrong with a row, with the text that it may have been meant to be."""
    wanted = normal(row.text)
    if is_printed(wanted, messages):
        return None
    close = nearest(wanted, messages)
    shown = close.text.replace(HOLE, "<...>")
    return (
        f"{PAGE}:{row.line}: no program prints this text:\n  {row.text}\n"
        f"the nearest text is in {close.place}:\n  {shown}\n"
        f"Correct the row, or if another program prints it, name that: {', '.join(sorted(OTHER_PROGRAMS))}"
    )


@pytest.mark.parametrize("row", OURS, ids=lambda row: str(row.text))
def test_each_row_begins_with_a_text_that_is_printed(row: Row, programs: list[Message], tests: list[Message]) -> None:
    assert len(re.findall(r"[a-zA-Z]", normal(row.text))) >= SHORTEST

    wrong = problem(row, tests if row.printed_by == "`make test`" else programs)

    assert wrong is None, wrong


def test_a_text_that_nothing_prints_is_reported_with_the_nearest_one() -> None:
    messages = [
        Message(f"cannot write to {HOLE}", "folders.py:30"),
        Message(f"port {HOLE} {HOLE}, or choose another one", "ports.py:36"),
        Message(f"is in use by {HOLE}: stop it", "ports.py:58"),
    ]

    assert problem(Row(12, "port <port> is in use by <process>", "`make dev`"), messages) is None
    wrong = problem(Row(13, "the file is used by <process>: stop it", "`make dev`"), messages)

    assert wrong is not None
    assert wrong.startswith(f"{PAGE}:13: no program prints this text:\n  the file is used by <process>: stop it\n")
    assert "the nearest text is in ports.py:58:\n  is in use by <...>: stop it\n" in wrong


def test_programs_that_are_not_ours_are_those_that_the_page_names() -> None:
    assert {row.printed_by for row in rows()} >= OTHER_PROGRAMS
