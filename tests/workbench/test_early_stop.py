"""A stop while a program is still being imported, of the parts that run as processes of their own."""

import signal
import sys
from pathlib import Path

import pytest

from tests.service.commands import Done, ended, running
from tests.waiting import eventually

# Each, and a package that it imports.
PROGRAMS = [("service", "uvloop"), ("workbench", "yaml"), ("workbench.reload", "watchfiles")]

# Says that it is being imported, and does not end.
ENDLESS = """
import pathlib, signal
pathlib.Path(__file__).with_name("imported").touch()
while True:
    signal.pause()
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
