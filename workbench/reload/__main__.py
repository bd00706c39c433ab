"""`python -m workbench.reload`: run the service and reload it when its sources change.

SERVICE_API_BIND and SERVICE_OPS_BIND are the addresses to listen on, each host:port. RELOAD_READY_WITHIN is how many
seconds new code may take to become ready, by default 10. RELOAD_FORK=no starts each process in a new interpreter,
which is also done wherever a fork is not safe. With RELOAD_DEBUG_PORT, editors can attach to that port of 127.0.0.1.
RELOAD_VERDICT_FILE is where `make live` finds what serves, and why something else does not. With RELOAD_GIT_FOLDER,
each git branch has a database of its own, on the server that RELOAD_BRANCH_SERVER names.

SIGTERM and SIGINT are passed on to the service, which drains as it would by itself. Exit status: 0 stopped, 1 cannot
listen, 2 wrong settings.
"""

import signal
import sys

if __name__ == "__main__":
    # Until the supervisor handles them: as process 1 of a container, this process would ignore SIGTERM otherwise.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

import asyncio
import os
import shutil
import socket
import tempfile
from pathlib import Path

from workbench.errors import UsageError
from workbench.machine.env_file import ENV_FILE
from workbench.reload import debugging, protocol
from workbench.reload.branches import GIT_FOLDER, SERVER, BranchDatabase, OneDatabase
from workbench.reload.comparison import Comparison
from workbench.reload.debugging import Debugger
from workbench.reload.fallback_responder import FallbackResponder
from workbench.reload.forking_spawner import ForkingSpawner
from workbench.reload.orphans import reap
from workbench.reload.probe import Probe
from workbench.reload.report import Report
from workbench.reload.service_environment import ServiceEnvironment
from workbench.reload.sources import Watcher
from workbench.reload.spawner import FreshSpawner, Spawner
from workbench.reload.supervisor import Supervisor
from workbench.reload.target import Limits
from workbench.reload.tasks import in_background
from workbench.reload.verdict import FILE, VerdictFile

_BACKLOG = 2048
_READY_WITHIN = 10.0  # s

# The service's own defaults, see service/settings.py.
_BINDS = {protocol.API_BIND: "0.0.0.0:8000", protocol.OPS_BIND: "0.0.0.0:9000"}


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="reload-"))
    listeners: dict[str, socket.socket] = {}
    debugger = None
    try:
        for variable, default in _BINDS.items():
            listeners[variable] = _listen(variable, os.environ.get(variable, default))
        if port := os.environ.get(debugging.PORT):
            if not port.isdecimal():
                raise UsageError(f"{debugging.PORT}={port} is not a port")
            debugger = Debugger(port)
        return asyncio.run(_run(listeners, folder, debugger))
    except UsageError as error:
        sys.stderr.write(f"reload: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"reload: {error}\n")
        return 1
    finally:
        if debugger:
            debugger.close()
        shutil.rmtree(folder, ignore_errors=True)


def _listen(variable: str, bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    if not (host and port.isdecimal()):
        raise UsageError(f"{variable}={bind} is not host:port, which live reload needs")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
    except OSError as error:
        raise OSError(f"cannot listen on {bind} ({error.strerror}): choose another {variable}") from error
    listener.listen(_BACKLOG)
    return listener


async def _run(listeners: dict[str, socket.socket], folder: Path, debugger: Debugger | None) -> int:
    loop = asyncio.get_running_loop()
    metrics_file = folder / "metrics.prom"
    verdict = os.environ.get(FILE)
    report = Report(metrics_file, VerdictFile(Path(verdict) if verdict else None))
    extra = {protocol.LISTEN: protocol.TOLD, protocol.METRICS_FILE: str(metrics_file)}
    limits = Limits(_ready_within())
    if debugger is None:  # a rehearsed request would stop at breakpoints, where nobody expects it
        extra[protocol.REHEARSAL_SOCKET] = str(folder / "rehearsal")
    else:
        extra |= debugger.variables
        limits = Limits(ready_within=None, drained_within=None)  # a process may stop at a breakpoint
    # A queue of open connections, between the process that passes them on and the one that takes them.
    giving, taking = socket.socketpair()
    taking.setblocking(False)
    inherited = {**listeners, protocol.GIVE_CONNECTIONS: giving, protocol.TAKE_CONNECTIONS: taking}

    def close_listeners() -> None:
        for inherited_socket in inherited.values():
            inherited_socket.close()

    api, ops = listeners.values()
    spawner = _spawner({variable: item.fileno() for variable, item in inherited.items()}, folder, report)
    database = OneDatabase()
    if git_folder := os.environ.get(GIT_FOLDER):
        database = BranchDatabase(Path(git_folder), os.environ[SERVER], os.environ, report.say)
    supervisor = Supervisor(
        spawner,
        Watcher(database.head),
        FallbackResponder(api, ops, taking, report.metrics),
        report,
        ServiceEnvironment(os.environ, ENV_FILE, extra),
        Probe(_address(api), _address(ops)),
        Comparison(extra.get(protocol.REHEARSAL_SOCKET)),
        close_listeners,
        limits,
        database,
    )

    def stop(number: signal.Signals) -> None:
        if debugger:
            debugger.close()
        supervisor.stop(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    reaping = in_background(reap(spawner)) if os.getpid() == 1 else None
    try:
        return await supervisor.run()
    finally:
        # All processes have ended: a signal that comes now, such as a second one, would only print a traceback.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        if reaping is not None:
            reaping.cancel()


def _spawner(inherited: dict[str, int], folder: Path, report: Report) -> Spawner:
    wanted = os.environ.get("RELOAD_FORK") or "yes"
    if wanted not in {"yes", "no"}:
        raise UsageError(f"RELOAD_FORK={wanted} is neither yes nor no")
    if sys.platform == "linux" and wanted == "yes":
        return ForkingSpawner(inherited, folder, report.pass_on)
    # Apple's frameworks do not survive a fork, and only Linux ends the forked processes with their template.
    why = "RELOAD_FORK=no" if wanted == "no" else f"a fork is not safe on {sys.platform}"
    report.say(f"processes are started afresh, not forked: {why}")
    return FreshSpawner(inherited, folder, report.pass_on)


def _ready_within() -> float:
    text = os.environ.get("RELOAD_READY_WITHIN") or str(_READY_WITHIN)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise UsageError(f"RELOAD_READY_WITHIN={text} is not a number of seconds up to 3600")
    return seconds


def _address(listener: socket.socket) -> tuple[str, int]:
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


if __name__ == "__main__":
    sys.exit(main())
