"""Child processes of the workbench: their output is read line by line, and none outlives the workbench."""

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from workbench.console import Console
from workbench.errors import PartFailed, PartStopped, StepFailed
from workbench.machine.folders import ROOT

User = Literal["same", "unprivileged"]

REMEMBERED_LINES = 100
MAX_LINE = 64 * 1024  # bytes
LAST_OUTPUT_WITHIN = 1.0  # seconds to read what is still in the pipe when the program has ended
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the signals that ask the workbench to stop


class Part:
    """A program that the workbench runs, as the leader of its own process group.

    The terminal's Ctrl-C therefore reaches only the workbench, which stops its parts in the right order. `on_line` is
    called with every line of output and returns whether the console shows it.
    """

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        output: tuple[asyncio.StreamReader, asyncio.ReadTransport],
        console: Console,
        on_line: Callable[[str], bool],
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._process = process
        self._output, self._pipe = output
        self._console = console
        self._on_line = on_line
        self._ended = asyncio.create_task(self._follow(), name=name)

    @classmethod
    async def start(
        cls,
        name: str,
        *command: str | Path,
        console: Console,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        user: User = "same",
        on_orphaned: signal.Signals = signal.SIGKILL,
        on_line: Callable[[str], bool] = lambda line: True,
    ) -> "Part":
        """On Linux, the part gets the signal `on_orphaned` if the workbench ends without stopping it."""
        launcher = (
            sys.executable,
            "-S",
            "-m",
            "workbench.parts.launcher",
            str(os.getpid()),
            str(on_orphaned.value),
            user,
        )
        # With asyncio's PIPE, wait() would wait for every process that holds the pipe (python/cpython#119710).
        output, into = os.pipe()
        reader = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(output, "rb", buffering=0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *launcher,
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=into,
                stderr=into,
                cwd=cwd,
                env=env,
                process_group=0,
            )
        except BaseException:
            pipe.close()
            raise
        finally:
            os.close(into)
        return cls(name, process, (reader, pipe), console, on_line)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self, within: float | None = None) -> int:
        """The exit status, or minus the number of the signal that ended it. Raises TimeoutError after `within` s."""
        async with asyncio.timeout(within):
            return await asyncio.shield(self._ended)

    async def becomes_ready(self, ready: Coroutine[Any, Any, object]) -> None:
        """Waits for `ready`. Raises PartFailed if the part ends first."""
        waiting = asyncio.create_task(ready)
        try:
            await asyncio.wait({waiting, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._ended.done():
            status = self._ended.result()
            message = f"{self.name} ended before it was ready, {describe(status)}: {error_line(self.last_lines)}"
            raise failed(status, message)
        waiting.result()

    async def stop(self, *asking: tuple[signal.Signals, float]) -> int:
        """Sends each signal in turn and waits so many seconds for the end. Then, or if cancelled, kills the part."""
        try:
            for number, seconds in asking:
                self.send(number)
                with suppress(TimeoutError):
                    return await self.wait(seconds)
        finally:
            self.kill_now()
        return await self.wait()

    async def kill(self) -> int:
        self.kill_now()
        return await self.wait()

    def send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            # Process.send_signal would take the exit status of a process that has just ended (python/cpython#127049).
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_now(self) -> None:
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: the latter, for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)

    async def _follow(self) -> int:
        reading = asyncio.create_task(self._read(), name=f"{self.name}, output")
        status = await self._process.wait()
        self._kill_group()  # processes that it started and left behind, which may still hold its ports
        await asyncio.wait({reading}, timeout=LAST_OUTPUT_WITHIN)
        reading.cancel()
        self._pipe.close()
        return status

    async def _read(self) -> None:
        async for line in whole_lines(self._output):
            self.last_lines.append(line)
            if self._on_line(line):
                self._console.log(self.name, line)


async def run(
    name: str,
    *command: str | Path,
    console: Console,
    within: float,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    user: User = "same",
    on_line: Callable[[str], bool] = lambda line: True,
) -> None:
    """Runs a command until it ends. Raises StepFailed if it fails or runs for more than `within` seconds."""
    part = await Part.start(name, *command, console=console, env=env, cwd=cwd, user=user, on_line=on_line)
    try:
        status = await part.wait(within)
    except TimeoutError:
        raise StepFailed(f"{name} did not finish within {within:g} s") from None
    finally:
        await part.kill()
    if status != 0:
        message = f"{name} failed ({describe(status)}): {error_line(part.last_lines)}"
        raise StepFailed(message) from failed(status, message)


def failed(status: int, message: str) -> PartFailed:
    """The error for a part that ended. It is PartStopped after the status of one that a signal asked to end."""
    stopped = status == 0 or -status in STOPS
    return (PartStopped if stopped else PartFailed)(message)


def describe(status: int) -> str:
    """An exit status in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def error_line(lines: deque[str]) -> str:
    """The last line that mentions an error, or else the last line that is not empty."""
    written = [line.strip() for line in reversed(lines) if line.strip()] or ["it printed nothing"]
    return next((line for line in written if re.search("error|fatal|panic", line, re.IGNORECASE)), written[0])


async def whole_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Like StreamReader.readline, but splits lines that are longer than MAX_LINE instead of raising an error."""
    rest = b""
    while chunk := await stream.read(MAX_LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")
