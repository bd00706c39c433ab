"""Errors of the supervisor that it does not foresee: printed at once, counted, and the next save is served."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.probe.project import MODULE, probe_sandbox
from tests.waiting import eventually
from tests.workbench.reload.live import SAYS_ITS_PID, Live, serving, supervised
from tests.workbench.things import ANY
from workbench.stack import Stack

FAILED = 'reloads_total{result="failed"}'

FUNCTIONS = {
    "take": ("sources.py", "        self.changed.clear()\n        while"),
    "apply": ("migrations.py", "        wanted ="),
    "hand_over": ("handover.py", "        await first_of("),
    "_end_trial": ("supervisor.py", "        await first_of(self._stopping, new.ended"),
    "decode_notifications": ("protocol.py", "        match line.partition"),
    "reason": ("candidate.py", "    lines = ["),
}
"""Functions that fail while there is a file of their name in the project: their module, and the line that fails."""


@pytest.fixture(scope="module")
async def faulty(live_stack: tuple[Stack, Live], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """A supervisor that has all those functions."""
    sources = probe_sandbox(tmp_path_factory.mktemp("faulty") / "sources")
    sources.edit(*SAYS_ITS_PID)
    for function, (module, line) in FUNCTIONS.items():
        indent = " " * (len(line) - len(line.lstrip()))
        fault = f"if __import__('os').path.exists('{function}'):\n{indent}    raise RuntimeError('not\\nforeseen')\n"
        sources.edit(f"workbench/reload/{module}", line, f"{indent}{fault}{line}")
    async with supervised(live_stack[0].postgres, sources) as live:
        await live.says("serves$")
        yield live


def let_fail(live: Live, function: str) -> Path:
    """Makes the file with which the function fails."""
    live.forget()
    path = live.sources.root / function
    path.touch()
    return path


async def is_told(live: Live, function: str) -> None:
    module, _ = FUNCTIONS[function]
    where = rf"workbench/reload/{module}:\d+, {function}"
    await live.says(rf"reload: unexpected error in {where}: RuntimeError: not; live reload continues$")
    await live.says(r"│ Traceback \(most recent call last\):$")
    await live.says("│ foreseen$")


async def a_save_is_served(live: Live) -> None:
    live.forget()
    live.sources.append(MODULE, "\n# without an error\n")
    await live.reloads()
    assert await live.metric("reload_code_stale") == 0


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "reason"])
async def test_an_error_after_a_save(faulty: Live, function: str) -> None:
    failed = await faulty.metric(FAILED)
    fault = let_fail(faulty, function)
    faulty.sources.append(MODULE, "\n# with an error\n")
    await is_told(faulty, function)
    assert (await faulty.get(ANY)).status_code == 200
    assert await faulty.metric(FAILED) > failed
    fault.unlink()
    await a_save_is_served(faulty)


async def test_what_serves_keeps_serving(faulty: Live) -> None:
    good, failed = faulty.sources.version, await faulty.metric(FAILED)
    fault = let_fail(faulty, "apply")
    faulty.sources.append(MODULE, "\n# with an error\n")
    line = await faulty.says("the new code does not serve: ")
    assert "RuntimeError: not, an unexpected error of the supervisor; " in line
    assert f"version {good} keeps serving, older than the files" in line
    assert (await faulty.get(ANY)).headers["x-service-version"] == good
    assert await faulty.metric("reload_code_stale") == 1
    assert await faulty.metric(FAILED) == failed + 1
    fault.unlink()
    await a_save_is_served(faulty)


async def test_an_error_while_a_process_is_watched(faulty: Live) -> None:
    async def is_serving() -> bool:
        return "x-pid" in (await faulty.get(ANY)).headers

    failed = await faulty.metric(FAILED)
    fault = let_fail(faulty, "reason")
    for _ in range(2):  # the first time there may be a process on standby, the second time there is not
        faulty.forget()
        os.kill(await serving(faulty), signal.SIGKILL)
        await is_told(faulty, "reason")
        await eventually(is_serving, "a process serves again")
    await faulty.says("serves$")
    assert await faulty.metric(FAILED) == failed + 2
    fault.unlink()
    await a_save_is_served(faulty)
