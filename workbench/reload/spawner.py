"""How a process is started: afresh here, or by a fork in forking_spawner.py."""

import asyncio
import signal
import sys
from abc import ABC, abstractmethod
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from pathlib import Path

from workbench.reload import code, protocol
from workbench.reload.code import ROOT
from workbench.reload.service_process import ServiceProcess
from workbench.reload.tasks import in_background


class SpawnError(Exception):
    """No process can be started; the message says why."""


class Spawner(ABC):
    """Starts processes that inherit sockets: the variable that names each, and its file descriptor."""

    def __init__(self, inherited: Mapping[str, int], folder: Path, on_line: Callable[[str], None]) -> None:
        """`folder` gets the notification sockets, `on_line` each line that a process writes to stderr."""
        self._inherited = inherited
        self._folder = folder
        self._on_line = on_line

    async def spawn(self, command: str, environment: Mapping[str, str]) -> ServiceProcess:
        """Start `python -m command`, a module and its arguments. Raises SpawnError."""
        process = ServiceProcess(environment, self._folder, self._on_line)
        try:
            await self._start(command, process)
        except BaseException:
            process.close_stderr_of_process()
            await process.end(-signal.SIGKILL)
            raise
        process.close_stderr_of_process()
        return process

    @abstractmethod
    async def _start(self, command: str, process: ServiceProcess) -> None:
        """Calls process.started() now, and process.end() when it has ended. Raises SpawnError."""

    @abstractmethod
    async def renew(self) -> None:
        """Let the next process use the packages that are installed now."""

    @abstractmethod
    async def close(self) -> None:
        """To be called when all processes have ended."""

    @property
    @abstractmethod
    def pids(self) -> set[int]:
        """The processes that this spawner waits for."""


class FreshSpawner(Spawner):
    """Starts a new interpreter each time: slower, and safe wherever Python runs."""

    def __init__(self, inherited: Mapping[str, int], folder: Path, on_line: Callable[[str], None]) -> None:
        super().__init__(inherited, folder, on_line)
        self._waiting: dict[asyncio.Task[None], int] = {}

    @property
    def pids(self) -> set[int]:
        return set(self._waiting.values())

    async def _start(self, command: str, process: ServiceProcess) -> None:
        version = code.version(code.read())
        descriptors = tuple(self._inherited.values())
        try:
            running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "workbench.reload.new_process", command),
                cwd=ROOT,
                env={
                    **process.variables,
                    protocol.VERSION: version,
                    **protocol.inherited_variables(tuple(self._inherited), descriptors),
                },
                stdin=DEVNULL,
                stderr=process.stderr_of_process,
                pass_fds=descriptors,
            )
        except OSError as error:
            raise SpawnError(f"no process can be started: {error}") from error
        process.started(running.pid, version)
        waiting = in_background(self._wait(running, process))
        self._waiting[waiting] = running.pid
        waiting.add_done_callback(self._waiting.pop)

    async def renew(self) -> None:
        """Each process is new anyway."""

    async def close(self) -> None:
        """Nothing stays behind."""

    @staticmethod
    async def _wait(running: Process, process: ServiceProcess) -> None:
        await process.end(await running.wait())
