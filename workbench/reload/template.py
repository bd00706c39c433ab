"""The template: a process that has imported the service's packages, but nothing of the service, and forks on request.

    python -m workbench.reload.template CONTROL PARENT

CONTROL is the file descriptor of the control socket, whose messages protocol.py describes. PARENT is the supervisor's
process id.

A fork is safe only in a process with one thread and no event loop: this one runs nothing but Template.run().
"""

import ast
import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from workbench.machine import linux
from workbench.reload import code, debugging, new_process, protocol
from workbench.reload.prefork import PreforkedProcess
from workbench.reload.protocol import Answer, Ended, Started, StartRequest, Warm
from workbench.reload.snapshot import Snapshot

_PREFORK_AFTER = 0.3  # s without a request, so that it does not compete with a process that is starting


def main(control_fd: int, parent: int) -> None:
    _die_with(parent)
    template = Template(socket.socket(fileno=control_fd))
    for number in (signal.SIGINT, signal.SIGTERM):  # the supervisor decides, also if all processes get the signal
        signal.signal(number, signal.SIG_IGN)
    preload(code.ROOT)
    template.run()


class Template:
    """Answers on the control socket, and keeps two preforked processes: one for the next save, one for all else."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._snapshot = Snapshot()
        self._ahead: PreforkedProcess | None = None
        """It has imported the service."""
        self._preforked: PreforkedProcess | None = None
        """It has imported nothing of the service."""
        self._service: StartRequest | None = None
        """The last one for the service, if it can be imported ahead of time."""
        self._not_ahead = ""
        """A version of the code that cannot be imported ahead of time."""
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # with the default action the wakeup descriptor stays silent
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)

    def run(self) -> None:
        """Until the supervisor closes the control socket."""
        self._snapshot.take()
        gc.collect()
        gc.freeze()  # a collection in a fork would write to every page, and so copy it
        self._answer(Warm())
        while True:
            timeout = _PREFORK_AFTER if self._preforked is None or self._is_ahead_missing() else None
            readable, _, _ = select.select([self._control.fileno(), self._wake], [], [], timeout)
            if not readable:
                self._prefork()
            if self._wake in readable:
                os.read(self._wake, 4096)
                self._report_ended()
            if self._control.fileno() in readable and not self._start():
                return

    def _start(self) -> bool:
        """Do what the next request asks for; False if there is none any more."""
        line, descriptors = protocol.receive_request(self._control)
        if not line:
            return False
        request = StartRequest.decode(line)
        started = None
        if request.command == code.PACKAGE:
            self._service = None if debugging.is_on(request.environment) else request
            if self._ahead and self._ahead.is_warm():
                started, self._ahead = _started(self._ahead, line, descriptors), None
            elif self._ahead:  # it imports what is outdated now, or hangs
                self._ahead.kill()
                self._ahead = None
        if started is None and self._preforked and self._preforked.is_warm():
            started, self._preforked = _started(self._preforked, line, descriptors), None
        self._answer(started or self._fork(line, descriptors))
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _is_ahead_missing(self) -> bool:
        return self._ahead is None and self._service is not None and self._snapshot.version != self._not_ahead

    def _prefork(self) -> None:
        """Fork one of the processes that are missing; that for the next save first."""
        self._snapshot.take()
        if self._is_ahead_missing():
            self._ahead = PreforkedProcess(self._leave, self._snapshot, self._service)
        elif self._preforked is None:
            self._preforked = PreforkedProcess(self._leave, self._snapshot)

    def _fork(self, line: bytes, descriptors: list[int]) -> Started:
        self._snapshot.take()
        pid = os.fork()
        if pid == 0:
            self._leave()
            new_process.become(line, descriptors, self._snapshot)
        return Started(pid, self._snapshot.version)

    def _leave(self) -> None:
        """In a fork: keep nothing of the template."""
        _die_with(os.getppid())
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for descriptor in (self._control.fileno(), self._wake, self._waker):
            os.close(descriptor)
        gc.disable()  # the service enables it when it has started

    def _report_ended(self) -> None:
        for pid, status in _ended():
            if self._ahead and self._ahead.pid == pid:
                if not self._ahead.is_warm():
                    self._not_ahead = self._ahead.version
                self._ahead.close()
                self._ahead = None
            elif self._preforked and self._preforked.pid == pid:
                self._preforked.close()
                self._preforked = None
            else:
                self._answer(Ended(pid, status))

    def _answer(self, answer: Answer) -> None:
        self._control.sendall(protocol.encode_answer(answer))


def _started(process: PreforkedProcess, line: bytes, descriptors: list[int]) -> Started | None:
    with suppress(OSError):
        if version := process.start(line, descriptors):
            return Started(process.pid, version)
    return None


def preload(root: Path) -> None:
    """Import what the service's modules import, except its own. The service reports what cannot be imported."""
    for name in sorted({*_imports(root), "encodings.idna"}):  # the router uses that codec
        with suppress(Exception):
            importlib.import_module(name)


def _imports(root: Path) -> set[str]:
    names: set[str] = set()
    for source in (content for path, content in code.read(root).items() if path.suffix == ".py"):
        with suppress(Exception):  # a SyntaxError, or a RecursionError, a MemoryError
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names.add(node.module)
    return {name for name in names if name.partition(".")[0] not in {code.PACKAGE, "__future__"}}


def _ended() -> Iterator[tuple[int, int]]:
    """The processes that have ended since the last time: process id and status."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _die_with(parent: int) -> None:
    """End when the parent ends, even by `kill -9`."""
    if sys.platform == "linux":
        linux.signal_on_parent_death(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
