"""Signals that stop `make dev`, as terminals and process managers send them: PostgreSQL needs no recovery then."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workbench.processtree import descendants, gone
from tests.workbench.terminal import MAKE, STARTED, Terminal, make_dev
from workbench.__main__ import ONE_PRESS, kills
from workbench.parts.postgres import postgres_environment, program

NewData = Callable[[], Path]


def was_stopped_cleanly(data: Path) -> bool:
    """Whether PostgreSQL needs no recovery at its next start."""
    command = (program("pg_controldata"), data / "postgres")
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=postgres_environment()).stdout
    return "Database cluster state:               shut down\n" in shown


def stopped_quietly(terminal: Terminal) -> bool:
    """Whether nothing was printed after the start but that it stops, apart from lines of the service."""
    lines = terminal.text.partition(STARTED)[2].splitlines()[1:]
    shown = [line for line in lines if line and "service-1 │" not in line]
    return len(shown) == 2 and shown[0].startswith("stopping") and shown[1].startswith("stopped")


async def test_sigterm_to_the_group_of_make(new_data: NewData) -> None:
    """`timeout 5 make dev`: it signals make and then the whole group, and make passes SIGTERM on to the workbench."""
    data = new_data()
    async with make_dev(data, MAKE) as terminal:
        await terminal.until(STARTED)
        processes = descendants(terminal.process.pid)
        terminal.process.terminate()
        os.killpg(terminal.process.pid, signal.SIGTERM)
        await terminal.end()
        await gone(processes)
    assert was_stopped_cleanly(data)
    assert stopped_quietly(terminal), terminal.text


async def test_sigterm_to_every_process_and_to_the_workbench_last(new_data: NewData) -> None:
    """As systemd ends a unit: when Envoy has ended, the workbench does not know yet that all are to end."""
    data = new_data()
    async with make_dev(data) as terminal:
        await terminal.until(STARTED)
        processes = descendants(terminal.process.pid)
        envoy = terminal.part("envoy")
        for pid in reversed(processes):
            os.kill(pid, signal.SIGTERM)
        await gone([envoy])
        terminal.process.terminate()
        assert await terminal.end() == 0
        await gone(processes)
    assert was_stopped_cleanly(data)
    assert stopped_quietly(terminal), terminal.text


async def test_ctrl_c_before_a_part_is_started_again(new_data: NewData) -> None:
    data = new_data()
    async with make_dev(data) as terminal:
        await terminal.until(STARTED)
        os.kill(terminal.part("envoy"), signal.SIGTERM)
        await terminal.until_match(r"envoy +ended unexpectedly, exit status 0: starting it again +\d+\.\d\d s\n")
        processes = descendants(terminal.process.pid)
        os.kill(terminal.part("envoy"), signal.SIGKILL)
        await terminal.until("killed by SIGKILL: starting it again after 0.5 s ...\n")
        terminal.press_ctrl_c()
        assert await terminal.end() == 0
        await gone(processes)
    assert was_stopped_cleanly(data)
    assert terminal.text.splitlines()[-1].startswith("stopped; ")


async def test_a_second_ctrl_c_does_not_wait(new_data: NewData) -> None:
    data = new_data()
    async with make_dev(data) as terminal:
        await terminal.until(STARTED)
        processes = descendants(terminal.process.pid)
        os.kill(terminal.part("python"), signal.SIGSTOP)  # now it ignores requests to end
        terminal.press_ctrl_c()
        await terminal.until("stopping")
        await asyncio.sleep(ONE_PRESS)
        terminal.press_ctrl_c()
        assert await terminal.end() == 0
        await gone(processes)
    assert os.listdir(data) == ["postgres"]
    assert not was_stopped_cleanly(data)


@pytest.mark.parametrize(
    ("number", "seconds", "expected"),
    [
        (signal.SIGINT, 2 * ONE_PRESS, True),
        (signal.SIGINT, ONE_PRESS / 10, False),  # `timeout -s INT`
        (signal.SIGTERM, 2 * ONE_PRESS, False),  # `timeout`, or one that asks again
        (signal.SIGHUP, 2 * ONE_PRESS, False),  # the terminal, and then its shell
    ],
)
def test_which_signals_kill(number: signal.Signals, seconds: float, expected: bool) -> None:
    assert kills(number, seconds) is expected
