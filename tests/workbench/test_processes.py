"""Child processes: all their output arrives, and no process is left behind."""

import asyncio
import io
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.waiting import WITHIN
from tests.workbench.processtree import gone
from workbench.console import Console
from workbench.errors import PartFailed, StepFailed
from workbench.machine import unprivileged
from workbench.parts.process import MAX_LINE, Part, run


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(screen: io.StringIO) -> Console:
    return Console(screen)


async def shell(script: str, console: Console) -> Part:
    return await Part.start("part", "/bin/sh", "-c", script, console=console)


async def test_every_line_arrives(console: Console, screen: io.StringIO) -> None:
    part = await shell(f"head -c {MAX_LINE + 10} /dev/zero | tr '\\0' x; echo; echo two >&2; printf last", console)
    assert await part.wait(WITHIN) == 0
    assert list(part.last_lines)[-2:] == ["two", "last"]
    assert sum(len(line) for line in list(part.last_lines)[:-2]) == MAX_LINE + 10
    assert screen.getvalue().endswith("part │ two\n        part │ last\n")


async def test_output_that_is_not_text_does_no_harm(console: Console) -> None:
    part = await shell(r"printf '\377\n'", console)
    await part.wait(WITHIN)
    assert list(part.last_lines) == ["�"]


async def test_a_part_that_ignores_the_signal_is_killed(console: Console) -> None:
    part = await shell("trap '' TERM; echo started; while :; do sleep 1; done", console)
    await first_line(part)
    assert await part.stop((signal.SIGTERM, 0.1)) == -signal.SIGKILL
    assert not part.running


async def test_processes_that_a_part_started_end_with_it(console: Console) -> None:
    part = await shell("sleep 60 & echo $!; exit 3", console)
    async with asyncio.timeout(WITHIN):  # although `sleep` holds the pipe
        assert await part.wait() == 3
    await gone([int(part.last_lines[0])])


async def test_an_end_before_ready_is_an_error_with_the_last_line(console: Console) -> None:
    part = await shell("echo no space left; exit 4", console)
    with pytest.raises(PartFailed, match="part ended before it was ready, exit status 4: no space left"):
        await part.becomes_ready(asyncio.sleep(60))


async def test_a_failed_step_is_an_error_with_the_last_line(console: Console) -> None:
    with pytest.raises(StepFailed, match=r"step failed \(exit status 1\): line 2"):
        await run("step", "/bin/sh", "-c", "echo line 2; exit 1", console=console, within=WITHIN)


async def test_a_step_that_takes_too_long_is_killed(console: Console) -> None:
    with pytest.raises(StepFailed, match=r"step did not finish within 0.1 s"):
        await run("step", "/bin/sleep", "60", console=console, within=0.1)


async def test_a_missing_program_is_an_error_with_its_path(console: Console) -> None:
    with pytest.raises(StepFailed, match=r"cannot run /missing: No such file"):
        await run("step", "/missing", console=console, within=WITHIN)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
async def test_an_unprivileged_part_can_read_but_not_write_roots_folders(console: Console, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o700)
    (tmp_path / "file").write_text("content\n")
    script = f"id -u; cat {tmp_path}/file; (echo > {tmp_path}/new) 2>&1 || echo refused"
    part = await Part.start("part", "/bin/sh", "-c", script, console=console, user="unprivileged")
    await part.wait(WITHIN)
    assert part.last_lines[0] == str(unprivileged.owner()) != "0"
    if sys.platform == "linux":
        assert part.last_lines[1] == "content"
        assert part.last_lines[-1] == "refused"


@pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root on Linux has a capability to keep"
)
async def test_access_finds_files_in_a_folder_of_root(console: Console, tmp_path: Path) -> None:
    """initdb calls access(2) to find `postgres` in its own folder."""
    os.chmod(tmp_path, 0o700)
    (tmp_path / "file").write_text("content\n")
    asks = f"import os; print(os.access({str(tmp_path / 'file')!r}, os.R_OK))"
    command = ("/bin/sh", "-c", '"$0" "$@"', sys.executable, "-c", asks)
    part = await Part.start("part", *command, console=console, user="unprivileged")
    await part.wait(WITHIN)
    assert part.last_lines[-1] == "True"


async def first_line(part: Part) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if part.last_lines:
                return
            await asyncio.sleep(0.01)
