"""Starts processes by a fork of the template (template.py), and the supervisor's end of its control socket."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from workbench.reload import protocol
from workbench.reload.code import ROOT
from workbench.reload.protocol import Answer, Ended, Started, StartRequest, Warm
from workbench.reload.service_process import ServiceProcess
from workbench.reload.spawner import Spawner, SpawnError
from workbench.reload.tasks import first_of, in_background

_WARM_WITHIN = 60.0  # s


class ForkingSpawner(Spawner):
    """Starts a template when it needs one, and another when that one has ended."""

    def __init__(self, inherited: Mapping[str, int], folder: Path, on_line: Callable[[str], None]) -> None:
        super().__init__(inherited, folder, on_line)
        self._template: _Template | None = None
        self._retired: list[_Template] = []

    @property
    def pids(self) -> set[int]:
        return {template.pid for template in self._templates}

    async def _start(self, command: str, process: ServiceProcess) -> None:
        if self._template is None or self._template.ended:
            self._template = await _Template.start()
            await self._template.becomes_warm()
        await self._template.fork(command, process, self._inherited)

    async def renew(self) -> None:
        if self._template is not None:
            # It is the parent of the processes that it forked, so it stays until all of them have ended.
            self._template.retire()
            self._retired.append(self._template)
            self._template = None
        self._retired = [template for template in self._retired if not template.ended]

    async def close(self) -> None:
        for template in self._templates:
            await template.close()

    @property
    def _templates(self) -> list["_Template"]:
        return [*self._retired, *([self._template] if self._template else [])]


class _Template:
    """The supervisor's view of a template."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._forked: dict[int, ServiceProcess] = {}
        self._starting: tuple[ServiceProcess, asyncio.Event] | None = None
        self._warm = asyncio.Event()
        self._retired = False
        self._listening = in_background(self._listen())

    @classmethod
    async def start(cls) -> "_Template":
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "workbench.reload.template", str(theirs.fileno()), str(os.getpid())),
                cwd=ROOT,
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        return cls(process, ours)

    async def becomes_warm(self) -> None:
        """Return when it can fork. Raises SpawnError."""
        await first_of(self._warm, self._listening, timeout=_WARM_WITHIN)
        if not self._warm.is_set():
            await self.close()
            raise SpawnError("the template process did not start; its error is above")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._listening.done()

    async def fork(self, command: str, process: ServiceProcess, inherited: Mapping[str, int]) -> None:
        """Raises SpawnError."""
        loop = asyncio.get_running_loop()
        line = StartRequest(command, process.variables, list(inherited)).encode()
        started = asyncio.Event()
        self._starting = process, started
        try:
            rest = protocol.send_descriptors(self._control, line, [process.stderr_of_process, *inherited.values()])
            await loop.sock_sendall(self._control, rest)  # it may be more than the socket takes at once
            await first_of(started, self._listening)
        except OSError as error:
            raise SpawnError(f"the template process is gone: {error}") from error
        finally:
            self._starting = None
        if not started.is_set():
            raise SpawnError("the template process is gone")

    def retire(self) -> None:
        """Let it exit after the last process that it forked."""
        self._retired = True
        self._close_if_idle()

    async def close(self) -> None:
        self._control.close()
        self._kill()
        await self._process.wait()
        self._listening.cancel()

    def _close_if_idle(self) -> None:
        if self._retired and not self._forked:
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)  # it exits when there are no more requests

    def _kill(self) -> None:
        # Process.kill would take the exit status of a process that has just ended (python/cpython#127049).
        with suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.kill(self.pid, signal.SIGKILL)

    async def _listen(self) -> None:
        rest = b""
        try:
            while data := await asyncio.get_running_loop().sock_recv(self._control, 65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._on_answer(protocol.decode_answer(line))
        except OSError:
            pass  # the same as an end of the socket
        finally:
            self._kill()  # if it still runs, nothing reads its answers any more
            # On Linux the processes that it forked die with it; elsewhere nothing is forked.
            for process in self._forked.values():
                in_background(process.end(-signal.SIGKILL))
            self._forked.clear()
        await self._process.wait()

    def _on_answer(self, answer: Answer) -> None:
        match answer:
            case Warm():
                self._warm.set()
            case Started(pid, version) if self._starting is not None:
                process, started = self._starting
                process.started(pid, version)
                self._forked[pid] = process
                started.set()
            case Ended(pid, status) if pid in self._forked:  # or it was a preforked process that never started
                in_background(self._forked.pop(pid).end(status))
                self._close_if_idle()
