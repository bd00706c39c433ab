"""How a process of the service is started: forked from a warm template, or, where that is unsafe, afresh."""

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
import time
from abc import ABC, abstractmethod
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.reload import code
from workbench.reload.code import ROOT

_WARM_WITHIN = 60.0
_LAST_LINES_WITHIN = 0.5

_numbers = itertools.count(1)  # in names of sockets, which have to be short


class SpawnError(Exception):
    """No process can be started; the message says why."""


class Child:
    """One process. What it writes to stderr is passed on, and its last lines are kept."""

    def __init__(self, folder: Path, on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0
        self.version = ""
        """Of the code that it runs."""
        self.ready = asyncio.Event()
        self.handed_over = asyncio.Event()
        self.answered: int | None = None
        """How many requests, when it handed over."""
        self.news = asyncio.Event()
        """Set when its status has changed."""
        self.stages: dict[str, float] = {}
        """When it reached them, on time.time()."""
        self.status = "starting"
        self.last_lines: deque[str] = deque(maxlen=40)
        self.ended: asyncio.Future[int] = loop.create_future()
        self._on_line = on_line
        self._notify_path = folder / f"notify-{next(_numbers)}"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self._notify_path))
        self._notify.setblocking(False)
        loop.add_reader(self._notify, self._on_notify)
        self._stderr, self.stderr_of_child = os.pipe()
        self._reading = asyncio.create_task(self._read())

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self._notify_path)}

    def send(self, number: signal.Signals) -> None:
        if self.pid and not self.ended.done():
            if number is signal.SIGHUP:
                self.handed_over.clear()
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self, status: int) -> None:
        """To be called once, when the process has ended."""
        await asyncio.wait({self._reading}, timeout=_LAST_LINES_WITHIN)
        self._reading.cancel()
        asyncio.get_running_loop().remove_reader(self._notify)
        self._notify.close()
        self._notify_path.unlink(missing_ok=True)
        if not self.ended.done():
            self.ended.set_result(status)

    def close_stderr_of_child(self) -> None:
        """Once the process has it: only then does reading end with the process."""
        os.close(self.stderr_of_child)

    def _on_notify(self) -> None:
        with suppress(BlockingIOError):
            for line in self._notify.recv(65536).decode(errors="replace").splitlines():
                match line.partition("="):
                    case "STATUS", _, status:
                        self.status = status
                        self.news.set()
                    case "X_STAGE", _, stage:
                        self.stages[stage] = time.time()
                    case "READY", _, _:
                        self.ready.set()
                    case "X_HANDED_OVER", _, answered:
                        self.answered = int(answered)
                        self.handed_over.set()

    async def _read(self) -> None:
        reader = asyncio.StreamReader(limit=2**20)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._stderr, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                text = line.decode(errors="replace").rstrip()
                self.last_lines.append(text)
                self._on_line(text)
        finally:
            pipe.close()


class Spawner(ABC):
    """Starts processes that get the listening sockets: the variable that names one, and its file descriptor."""

    def __init__(self, listeners: Mapping[str, int], folder: Path, on_line: Callable[[str], None]) -> None:
        self._listeners = listeners
        self._folder = folder
        self._on_line = on_line

    @abstractmethod
    async def spawn(self, module: str, environment: Mapping[str, str]) -> Child:
        """Start `python -m module`. Raises SpawnError."""

    @abstractmethod
    async def renew(self) -> None:
        """The installed packages have changed: the next process gets the new ones."""

    @abstractmethod
    async def close(self) -> None:
        """To be called when all children have ended."""

    @property
    @abstractmethod
    def pids(self) -> set[int]:
        """Processes that are waited for here."""

    def _child(self) -> Child:
        return Child(self._folder, self._on_line)


class FreshSpawner(Spawner):
    """A new interpreter each time: slower, and safe wherever Python runs."""

    def __init__(self, listeners: Mapping[str, int], folder: Path, on_line: Callable[[str], None]) -> None:
        super().__init__(listeners, folder, on_line)
        self._waiting: dict[asyncio.Task[None], int] = {}

    @property
    def pids(self) -> set[int]:
        return set(self._waiting.values())

    async def spawn(self, module: str, environment: Mapping[str, str]) -> Child:
        child = self._child()
        child.version = code.version(code.read())
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "workbench.reload.child", module),
                cwd=ROOT,
                env={
                    **environment,
                    **child.environment,
                    "SERVICE_VERSION": child.version,
                    **{variable: f"fd://{listener}" for variable, listener in self._listeners.items()},
                },
                stdin=DEVNULL,
                stderr=child.stderr_of_child,
                pass_fds=tuple(self._listeners.values()),
            )
        finally:
            child.close_stderr_of_child()
        child.pid = process.pid
        child.stages["forked"] = time.time()
        waiting = asyncio.create_task(self._wait(process, child))
        self._waiting[waiting] = process.pid
        waiting.add_done_callback(self._waiting.pop)
        return child

    async def renew(self) -> None:
        """Each process is new anyway."""

    async def close(self) -> None:
        """Nothing stays behind."""

    @staticmethod
    async def _wait(process: Process, child: Child) -> None:
        await child.end(await process.wait())


class ForkingSpawner(Spawner):
    """Forks a template that is started when it is first needed, and again when it is gone."""

    def __init__(self, listeners: Mapping[str, int], folder: Path, on_line: Callable[[str], None]) -> None:
        super().__init__(listeners, folder, on_line)
        self._template: _Template | None = None
        self._retired: list[_Template] = []

    async def spawn(self, module: str, environment: Mapping[str, str]) -> Child:
        if self._template is None or self._template.gone:
            self._template = await _Template.start()
            await self._template.warm()
        child = self._child()
        try:
            await self._template.fork(module, environment, child, self._listeners)
        finally:
            child.close_stderr_of_child()
        return child

    @property
    def pids(self) -> set[int]:
        return {template.pid for template in (*self._retired, self._template) if template}

    async def renew(self) -> None:
        if self._template is not None:
            # It is the parent of what it forked, and stays until all of that has ended.
            self._template.retire()
            self._retired.append(self._template)
            self._template = None
        self._retired = [template for template in self._retired if not template.gone]

    async def close(self) -> None:
        for template in (*self._retired, *([self._template] if self._template else [])):
            await template.close()


class _Template:
    """The supervisor's side of workbench.reload.template."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._children: dict[int, Child] = {}
        self._starting: tuple[Child, asyncio.Future[None]] | None = None
        self._warm = asyncio.Event()
        self._retired = False
        self._ending: set[asyncio.Task[None]] = set()
        self._listening = asyncio.create_task(self._listen())

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

    async def warm(self) -> None:
        """Returns when it can fork. Raises SpawnError."""
        warm = asyncio.create_task(self._warm.wait())
        await asyncio.wait({warm, self._listening}, timeout=_WARM_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not warm.done():
            warm.cancel()
            await self.close()
            raise SpawnError("the template process did not start; its error is above")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def gone(self) -> bool:
        return self._listening.done()

    async def fork(
        self, module: str, environment: Mapping[str, str], child: Child, listeners: Mapping[str, int]
    ) -> None:
        loop = asyncio.get_running_loop()
        request = {
            "module": module,
            "environment": {**environment, **child.environment},
            "descriptors": list(listeners),
        }
        started: asyncio.Future[None] = loop.create_future()
        self._starting = child, started
        line = json.dumps(request).encode() + b"\n"
        try:
            # The descriptors go with the first byte; the rest may be more than the socket takes at once.
            socket.send_fds(self._control, [line[:1]], [child.stderr_of_child, *listeners.values()])
            await loop.sock_sendall(self._control, line[1:])
            await started
        except OSError as error:
            raise SpawnError(f"the template process is gone: {error}") from error
        finally:
            self._starting = None

    def retire(self) -> None:
        self._retired = True
        self._close_if_idle()

    async def close(self) -> None:
        self._control.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._listening.cancel()

    def _close_if_idle(self) -> None:
        if self._retired and not self._children:
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)  # it ends at the end of its requests

    async def _listen(self) -> None:
        rest = b""
        try:
            while data := await asyncio.get_running_loop().sock_recv(self._control, 65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._on_answer(json.loads(line))
        except OSError:
            pass  # as good as its end
        finally:
            if self._starting is not None and not self._starting[1].done():
                self._starting[1].set_exception(ConnectionResetError("it ended"))
            # On Linux its children die with it; elsewhere there is no template.
            for child in self._children.values():
                self._end(child, -signal.SIGKILL)
            self._children.clear()
        await self._process.wait()

    def _on_answer(self, answer: dict[str, Any]) -> None:
        if "warm" in answer:
            self._warm.set()
        elif "started" in answer and self._starting is not None:
            child, started = self._starting
            child.pid, child.version = answer["started"], answer["version"]
            child.stages["forked"] = time.time()
            self._children[child.pid] = child
            started.set_result(None)
        elif "ended" in answer:
            self._end(self._children.pop(answer["ended"]), answer["status"])
            self._close_if_idle()

    def _end(self, child: Child, status: int) -> None:
        task = asyncio.create_task(child.end(status))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
