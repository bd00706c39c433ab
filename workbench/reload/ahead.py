"""The service, imported before it is needed.

Most saves change only what asynchronous functions do. Then importing the new code does the same as importing the old
code, so a process that has imported the old code can become one of the new code: its functions get new bodies.
"""

import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType

from workbench.reload import bodies, protocol
from workbench.reload.protocol import StartRequest
from workbench.reload.snapshot import Snapshot

_OWN = {protocol.NOTIFY_SOCKET}
"""Variables that each process has for itself. The code does not know them before it runs."""


class NotAhead(Exception):
    """The import does more than define things, so it has to be done by the process that serves."""


class ImportedAhead:
    """The modules of the service, as a request for it would have them."""

    def __init__(self, request: StartRequest, snapshot: Snapshot) -> None:
        """Import them. Raises NotAhead, or whatever the import raises."""
        self._command = request.command
        self._environment = _shared(request.environment)
        self._imported = snapshot.copy()
        os.environ.clear()
        os.environ.update(self._environment)
        snapshot.install()
        with _only_definitions():
            importlib.import_module(f"{request.command}.__main__")
        del sys.modules[f"{request.command}.__main__"]  # it runs again, as the module __main__

    def becomes(self, request: StartRequest, snapshot: Snapshot) -> bool:
        """Whether this process now is what the request asks for, with the code of the snapshot.

        If not, it may not be used any more.
        """
        if (request.command, _shared(request.environment)) != (self._command, self._environment):
            return False
        new = dict[int, CodeType]()
        for path in self._imported.differences(snapshot):
            before, after = self._imported.code_of(path), snapshot.code_of(path)
            if before is None or after is None:  # it is no module, or there is none any more, or one that has errors
                return False
            try:
                new |= {id(old): body for old, body in bodies.pairs(before, after)}
            except bodies.DifferentImport:
                return False
        if new:
            bodies.replace(new)
        return True


def _shared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _OWN}


@contextmanager
def _only_definitions() -> Iterator[None]:
    """Raises NotAhead if the block writes something, opens something or starts a thread: people expect that later.

    Or if it runs an asynchronous function, whose body does matter then.
    """
    ran = list[CodeType]()

    def on_call(frame: FrameType, _event: str, _argument: object) -> None:
        if frame.f_code.co_flags & bodies.ASYNCHRONOUS:
            ran.append(frame.f_code)

    with tempfile.TemporaryFile() as written:
        saved = [(number, os.dup(number)) for number in (1, 2)]
        before = _open_files()
        for number, _ in saved:
            os.dup2(written.fileno(), number)
        sys.settrace(on_call)
        try:
            yield
        finally:
            sys.settrace(None)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            after = _open_files()
            for number, copy in saved:
                os.dup2(copy, number)
                os.close(copy)
        if os.fstat(written.fileno()).st_size or before != after or threading.active_count() > 1 or ran:
            raise NotAhead


def _open_files() -> list[str]:
    return sorted(os.listdir("/dev/fd"))
