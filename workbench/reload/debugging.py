"""Debugging with debugpy: the adapter that the supervisor starts, and what a process of the service does for it.

The adapter (debug_adapter.py) keeps one port for editors, and the process of each version connects to it. The
variable RELOAD_DEBUG_ADDRESS tells it where: `PORT/PID`, the adapter's port for processes and the adapter's root.
Without that variable, debugpy is not imported.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from workbench.reload.code import ROOT

HOST = "127.0.0.1"
PORT = "RELOAD_DEBUG_PORT"
"""The variable of the supervisor that turns debugging on."""

_ADDRESS = "RELOAD_DEBUG_ADDRESS"
_DATABASE = "SERVICE_DATABASE_URL"
_TIMEOUTS = ("ACQUIRE", "STATEMENT", "REQUEST", "STREAM_IDLE", "IMPORT")
_LONGEST = "3600"  # s; the maximum of each of these settings
_ATTACHED_WITHIN = 5.0  # s in which an editor attaches to a new process and sets its breakpoints


class Debugger:
    """The adapter. It ends with the supervisor."""

    def __init__(self, port: str) -> None:
        """Start it, and return when editors can attach to `port`. Raises OSError."""
        self._process = subprocess.Popen(
            (sys.executable, "-m", "workbench.reload.debug_adapter", port),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        output = self._process.stdout
        assert output is not None  # noqa: S101 - for the type checker
        port_for_processes, root = output.readline().strip(), output.readline().strip()
        if not root:
            self.close()
            raise OSError(f"no debugger can attach to port {port}, see the line above: choose another {PORT}")
        self.variables = {_ADDRESS: f"{port_for_processes}/{root}"}
        """Those of a process that is to be debugged."""

    def close(self) -> None:
        """Let all processes go on: one that has stopped at a breakpoint continues when its connection breaks."""
        self._process.kill()
        self._process.wait()


def is_on(environment: Mapping[str, str]) -> bool:
    """Whether a process with these variables is to be debugged."""
    return _ADDRESS in environment


def begin() -> None:
    """Prepare a new process of the service: attach a debugger, if there is one, and say what breakpoint() does."""
    address = os.environ.pop(_ADDRESS, "")
    if address:
        _lift_limits()
        port, root = address.split("/")
        try:
            _attach(int(port), int(root))
        except OSError as error:
            sys.stderr.write(f"this process cannot be debugged, because the adapter is gone ({error}): start again\n")
    if "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _stop if address else _pass_over  # not before: debugpy sets it too


def connect(port: int, *, parent: int = 0, wait: bool) -> None:
    """Connect this process to the adapter, as a child of the process `parent`. Raises OSError.

    With `wait`, return when an editor has set its breakpoints. If none is there, the adapter ends the wait at once.
    """
    # Otherwise it writes a warning in each process, because Python's own modules are frozen.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    import debugpy.server  # noqa: F401 - makes pydevd importable
    import pydevd

    pydevd.settrace(host=HOST, port=port, ppid=parent, suspend=False, wait_for_ready_to_run=wait, notify_stdin=False)


def _attach(port: int, root: int) -> None:
    giving_up = threading.Timer(_ATTACHED_WITHIN, _give_up)  # for an editor that does not know of children
    giving_up.start()
    try:
        connect(port, parent=root, wait=True)
    finally:
        giving_up.cancel()


def _give_up() -> None:
    import pydevd

    pydevd.get_global_debugger().ready_to_run = True


def _lift_limits() -> None:
    """A request may take as long as a person looks at it. Settings that a person chose are kept."""
    for name in _TIMEOUTS:
        os.environ.setdefault(f"SERVICE_{name}_TIMEOUT", _LONGEST)
    if url := os.environ.get(_DATABASE):
        os.environ[_DATABASE] = f"{url}{'&' if '?' in url else '?'}idle_in_transaction_session_timeout=0"


def _stop(*_arguments: object, **_keywords: object) -> None:
    import debugpy
    import pydevd

    frame = sys._getframe(1)
    if debugpy.is_client_connected():
        pydevd.settrace(suspend=True, trace_only_current_thread=True, stop_at_frame=frame)
    else:
        _say(frame, "breakpoint() is passed over, because no debugger is attached")


def _pass_over(*_arguments: object, **_keywords: object) -> None:
    _say(sys._getframe(1), "breakpoint() does nothing here: start with `make dev DEBUG=yes` or `tilt up -- --debug`")


def _say(frame: FrameType, what: str) -> None:
    path = Path(frame.f_code.co_filename)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    sys.stderr.write(f"{shown}:{frame.f_lineno}: {what}\n")
