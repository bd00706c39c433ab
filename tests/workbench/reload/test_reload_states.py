"""The states in the code are those of docs/architecture.md."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from workbench.machine.folders import ROOT
from workbench.reload.service_process import ServiceProcess
from workbench.reload.states import (
    PROCESS_TRANSITIONS,
    SIGNALS,
    SUPERVISOR_TRANSITIONS,
    Event,
    ProcessState,
    SupervisorState,
)


def documented(table: str) -> list[list[str]]:
    """The cells of each row of a table."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    found = re.search(rf"<!-- {table} -->\n(.*?)<!-- /{table} -->", text, re.DOTALL)
    assert found, table
    _head, _line, *rows = found[1].strip().splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def transitions(rows: list[list[str]]) -> Mapping[str, set[str]]:
    """The states that the last cell of each row names, by the state in its first cell."""
    return {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[-1])) for row in rows}


def test_the_states_of_a_process() -> None:
    rows = documented("process states")
    assert [row[0].strip("`") for row in rows] == list(ProcessState)
    assert transitions(rows) == PROCESS_TRANSITIONS
    entered_by = {row[0].strip("`"): set(re.findall(r"SIG\w+", row[1])) for row in rows}
    assert entered_by == {state: {SIGNALS[state].name} if state in SIGNALS else set() for state in ProcessState}


def test_the_states_of_the_supervisor() -> None:
    rows = documented("supervisor states")
    assert [row[0].strip("`") for row in rows] == list(SupervisorState)
    assert transitions(rows) == {
        state: set(following.values()) - {state, SupervisorState.STOPPING}
        for state, following in SUPERVISOR_TRANSITIONS.items()
    }


def test_every_state_can_be_stopped_and_every_event_happens_somewhere() -> None:
    assert {following[Event.STOPPED] for following in SUPERVISOR_TRANSITIONS.values()} == {SupervisorState.STOPPING}
    happening = {
        event
        for state, following in SUPERVISOR_TRANSITIONS.items()
        if state is not SupervisorState.STOPPING
        for event in following
    }
    assert happening == set(Event)


async def test_a_process_changes_only_to_an_allowed_state(tmp_path: Path) -> None:
    process = ServiceProcess({}, tmp_path, print)
    process.started(0, "abc")
    try:
        with pytest.raises(ValueError, match="version abc is candidate and cannot become standby"):
            process.become(ProcessState.STANDBY)
        assert process.state is ProcessState.CANDIDATE
    finally:
        process.close_stderr_of_process()
        await process.end(0)
