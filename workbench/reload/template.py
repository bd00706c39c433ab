"""The template: a process that has imported the service's packages, but nothing of the service, and forks on demand.

    python -m workbench.reload.template CONTROL PARENT

CONTROL is the number of a socket. A request is one line of JSON, {"module", "environment", "descriptors"}, with file
descriptors beside it: the new process's stderr, then one for each variable in "descriptors". Answers, one line each:
{"warm": seconds} once, {"started": pid, "version": of the code that it runs} for a request, {"ended": pid, "status":
number} for each process that ends.
When the other end closes, it ends.

A fork is safe only in a process with one thread and no event loop: this one has nothing but this loop.
"""

import ast
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from workbench.machine import linux
from workbench.reload import child, code
from workbench.reload.spare import Spare, receive, take_snapshot

_SPARE_AFTER = 0.3  # s without a request: not while another process starts


def main(control_fd: int, parent: int) -> None:
    _die_with(parent)
    control = socket.socket(fileno=control_fd)
    wake, wakened = os.pipe()
    os.set_blocking(wakened, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # with the default, the wakeup descriptor stays silent
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    begin = time.monotonic()
    preload(code.ROOT / code.PACKAGE)
    take_snapshot()
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, every page
    _answer(control, {"warm": time.monotonic() - begin})
    prepare = partial(_leave_template, control.fileno(), wake, wakened)
    spare: Spare | None = None
    while True:
        readable, _, _ = select.select([control.fileno(), wake], [], [], None if spare else _SPARE_AFTER)
        if not readable:
            take_snapshot()
            spare = Spare(prepare, _become)
        if wake in readable:
            os.read(wake, 4096)
            for pid, status in _ended():
                if spare and spare.pid == pid:
                    spare.close()
                    spare = None
                else:
                    _answer(control, {"ended": pid, "status": status})
        if control.fileno() in readable:
            line, descriptors = receive(control)
            if not line:
                return
            started = None
            if spare and spare.is_warm():
                with suppress(OSError):
                    started = {"started": spare.pid, "version": spare.start(line, descriptors)}
                spare = None
            _answer(control, started or _fork(line, descriptors, prepare))
            for descriptor in descriptors:
                os.close(descriptor)


def _fork(line: bytes, descriptors: list[int], prepare: Callable[[], None]) -> dict[str, Any]:
    version = take_snapshot()
    pid = os.fork()
    if pid == 0:
        prepare()
        _become(line, descriptors)
    return {"started": pid, "version": version}


def _leave_template(*descriptors: int) -> None:
    """In a fork: keep nothing of the template's."""
    _die_with(os.getppid())
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor in descriptors:
        os.close(descriptor)
    gc.disable()  # until it has started; the service switches it on again


def preload(package: Path) -> None:
    """Import what the service's modules import, except its own. What cannot be imported is the service's problem."""
    for name in sorted(_imports(package)):
        with suppress(Exception):
            importlib.import_module(name)


def _imports(package: Path) -> set[str]:
    names: set[str] = set()
    for path in package.rglob("*.py"):
        with suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    names.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                    names.add(node.module)
    return {name for name in names if name.partition(".")[0] not in {package.name, "__future__"}}


def _become(line: bytes, descriptors: list[int]) -> NoReturn:
    """In a fork: be the service until it ends, and never come back to the template's loop."""
    status = 1
    try:
        request = json.loads(line)
        stderr, *listeners = descriptors
        os.dup2(stderr, 2)
        os.close(stderr)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.environ["SERVICE_VERSION"] = child.snapshot_version()
        for variable, listener in zip(request["descriptors"], listeners, strict=True):
            os.environ[variable] = f"fd://{listener}"
        child.become(request["module"])
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
        else:
            status = end.code or 0
    except BaseException as error:
        child.explain(type(error), error, error.__traceback__)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _answer(control: socket.socket, answer: dict[str, Any]) -> None:
    control.sendall(json.dumps(answer).encode() + b"\n")


def _die_with(parent: int) -> None:
    """When the parent is gone, even by `kill -9`, go too."""
    if sys.platform == "linux":
        linux.signal_on_parent_death(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
