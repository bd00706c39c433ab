"""A stop while a program is still being imported, of the parts that run as processes of their own."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.service.commands import environment
from tests.service.waiting import WITHIN, eventually
from workbench.folders import ROOT

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
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=environment(PYTHONPATH=str(tmp_path)),
    )
    try:

        async def is_importing() -> bool:
            return (tmp_path / "imported").exists()

        await eventually(is_importing, f"{program} imports {package}")
        process.send_signal(number)
        async with asyncio.timeout(WITHIN):
            text, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert (process.returncode, text) == (0, b"")
