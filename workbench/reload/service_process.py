"""A process of the service, or of its migrations, as the supervisor sees it."""

import asyncio
import itertools
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.parts.process import whole_lines
from workbench.reload import protocol
from workbench.reload.states import PROCESS_TRANSITIONS, SIGNALS, ProcessState
from workbench.reload.tasks import in_background

_LAST_LINES_WITHIN = 0.5  # s for lines that are still in the pipe when the process has ended
_REMEMBERED_LINES = 40

_numbers = itertools.count(1)  # in names of sockets, which have to be short


@dataclass(frozen=True, slots=True)
class Description:
    """The OpenAPI document of some code."""

    files: Mapping[Path, bytes]
    """The code."""
    document: dict[str, Any]


class ServiceProcess:
    """What it writes to stderr is passed on line by line, and its last lines are kept."""

    def __init__(self, environment: Mapping[str, str], folder: Path, on_line: Callable[[str], None]) -> None:
        """`folder` gets the process's notification socket."""
        loop = asyncio.get_running_loop()
        self.environment = environment
        self.pid = 0
        self.version = ""
        """Of the code that it runs."""
        self.state = ProcessState.CANDIDATE
        self.serving_since = 0.0
        """When it began to serve, on time.monotonic()."""
        self.ready = asyncio.Event()
        self.status = "starting"
        self.status_changed = asyncio.Event()
        self.stages: dict[str, float] = {}
        """When it reached each stage of its start, on time.time()."""
        self.remark = ""
        """What its rehearsal has left out."""
        self.compared = asyncio.Event()
        """Set when it serves and has compared its costs with those of the process before."""
        self.rehearses = False
        """Known then: whether it keeps requests, and answers questions."""
        self.costs: Sequence[str] = ()
        """Known then: the routes that cost much more or less than before."""
        self.description: Description | None = None
        """Of its API, or of the last code before it whose description is known."""
        self.handed_over = asyncio.Event()
        self.answered: int | None = None
        """How many requests it had answered when it handed over."""
        self.last_lines: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self.ended: asyncio.Future[int] = loop.create_future()
        """Its exit status, or minus the number of the signal that killed it."""
        self._on_line = on_line
        self._notify_path = folder / f"notify-{next(_numbers)}"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self._notify_path))
        self._notify.setblocking(False)
        loop.add_reader(self._notify, self._on_notify)
        self._stderr, self.stderr_of_process = os.pipe()
        self._reading = in_background(self._read())

    @property
    def variables(self) -> dict[str, str]:
        """All its variables but those of inherited descriptors, and its version."""
        return {**self.environment, protocol.NOTIFY_SOCKET: str(self._notify_path)}

    def started(self, pid: int, version: str) -> None:
        """The process runs now."""
        self.pid, self.version = pid, version
        self.stages["forked"] = time.time()

    def become(self, state: ProcessState, number: signal.Signals | None = None) -> None:
        """Put it into a state by that state's signal, or by `number`. Raises ValueError if states.py forbids it."""
        if state not in PROCESS_TRANSITIONS[self.state]:
            raise ValueError(f"version {self.version} is {self.state} and cannot become {state}")
        self.state = state
        match state:
            case ProcessState.SERVING:
                self.serving_since = time.monotonic()
            case ProcessState.STANDBY:
                self.handed_over.clear()
        self.send(number or SIGNALS[state])

    def send(self, number: signal.Signals) -> None:
        if self.pid and not self.ended.done():
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

    def close_stderr_of_process(self) -> None:
        """To be called when the process has it: only then does reading end with the process."""
        os.close(self.stderr_of_process)

    def _on_notify(self) -> None:
        with suppress(BlockingIOError):
            try:
                self._notified(protocol.decode_notifications(self._notify.recv(65536)))
            except BlockingIOError:
                raise
            except Exception:
                if self.state is ProcessState.CANDIDATE:  # it may be ready now, which nothing would learn any more
                    self.send(signal.SIGKILL)
                raise

    def _notified(self, notifications: Iterable[protocol.Notification]) -> None:
        for notification in notifications:
            match notification:
                case protocol.Status(text):
                    self.status = text
                    self.status_changed.set()
                case protocol.Stage(name):
                    self.stages[name] = time.time()
                case protocol.Rehearsed(remark):
                    self.remark = remark
                case protocol.Compared(costs):
                    self.rehearses, self.costs = costs is not None, costs or ()
                    self.compared.set()
                case protocol.Ready():
                    self.ready.set()
                case protocol.HandedOver(answered):
                    self.answered = answered
                    self.handed_over.set()

    async def _read(self) -> None:
        reader = asyncio.StreamReader()
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._stderr, "rb", buffering=0)
        )
        try:
            async for line in whole_lines(reader):
                text = line.rstrip()
                self.last_lines.append(text)
                self._on_line(text)
        finally:
            pipe.close()
