"""A signal that arrives while a program still imports its modules ends it quietly, with status 0."""

import signal
import sys
from pathlib import Path

import pytest

from tests.service.commands import Done, ended, running
from tests.waiting import eventually

# Each program, with a package that it imports.
PROGRAMS = [("service", "uvloop"), ("workbench", "yaml"), ("workbench.reload", "watchfiles")]

# A module that creates a file when it is imported, and never finishes.
ENDLESS = """
import pathlib, time
pathlib.Path(__file__).with_name("imported").touch()
while True:
    time.sleep(0.05)  # and not signal.pause(), which would miss a signal that arrives just before it
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("program", "package"), PROGRAMS)
async def test_a_stop_during_the_imports(program: str, package: str, number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / f"{package}.py").write_text(ENDLESS)

    async def is_importing() -> bool:
        return (tmp_path / "imported").exists()

    async with running(sys.executable, "-m", program, PYTHONPATH=str(tmp_path)) as process:
        await eventually(is_importing, f"{program} imports {package}")
        process.send_signal(number)
        assert await ended(process) == Done(0, "", "")
