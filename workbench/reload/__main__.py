"""`python -m workbench.reload`: the service, following its sources. SERVICE_API_BIND and SERVICE_OPS_BIND say where.

RELOAD_READY_WITHIN are the seconds that new code may take to become ready, by default 10. RELOAD_FORK=no starts each
process afresh, as is done by itself where a fork is not safe.

SIGTERM and SIGINT are passed on to the service, which drains as it would by itself. Exit status: 0 stopped, 1 cannot
listen, 2 wrong settings.
"""

import signal
import sys

if __name__ == "__main__":
    # Until the supervisor handles them. As the first process of a container it would not even notice SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

import asyncio
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from workbench.errors import UsageError
from workbench.reload.candidate import READY_WITHIN
from workbench.reload.environment import Environment
from workbench.reload.probe import Probe
from workbench.reload.report import Report
from workbench.reload.sources import ENV_FILE, Watcher
from workbench.reload.spawner import ForkingSpawner, FreshSpawner, Spawner
from workbench.reload.stopgap import Stopgap
from workbench.reload.supervisor import Supervisor

_BACKLOG = 2048
_REAP_EVERY = 1.0  # s

# The service's own defaults, see service/settings.py.
_BINDS = {"SERVICE_API_BIND": "0.0.0.0:8000", "SERVICE_OPS_BIND": "0.0.0.0:9000"}


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="slipway-reload-"))
    listeners: dict[str, socket.socket] = {}
    try:
        for variable, default in _BINDS.items():
            listeners[variable] = _listen(variable, os.environ.get(variable, default))
        return asyncio.run(_run(listeners, folder))
    except UsageError as error:
        sys.stderr.write(f"reload: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"reload: {error}\n")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listen(variable: str, bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    if not (host and port.isdecimal()):
        raise UsageError(f"{variable}={bind}: the reloading service listens on host:port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
    except OSError as error:
        raise OSError(f"cannot listen on {bind} ({error.strerror}): choose another {variable}") from error
    listener.listen(_BACKLOG)
    return listener


async def _run(listeners: dict[str, socket.socket], folder: Path) -> int:
    loop = asyncio.get_running_loop()
    report = Report(folder / "metrics.prom")
    environment = Environment(os.environ, ENV_FILE, {"SERVICE_METRICS_FILE": str(folder / "metrics.prom")})
    # What waits here was given away by one process and not yet taken by another.
    giving, taking = socket.socketpair()
    taking.setblocking(False)
    passed = {**listeners, "SERVICE_GIVE_CONNECTIONS": giving, "SERVICE_TAKE_CONNECTIONS": taking}
    descriptors = {variable: passed_on.fileno() for variable, passed_on in passed.items()}

    def close_listeners() -> None:
        for passed_on in passed.values():
            passed_on.close()

    api, ops = listeners.values()
    spawner = _spawner(descriptors, folder, report)
    supervisor = Supervisor(
        spawner,
        Watcher(),
        Stopgap(api, ops, taking, report.metrics),
        report,
        environment,
        Probe(_address(api), _address(ops)),
        close_listeners,
        _ready_within(),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, number)
    reaping = asyncio.create_task(reap(spawner)) if os.getpid() == 1 else None
    try:
        return await supervisor.run()
    finally:
        if reaping is not None:
            reaping.cancel()


def _spawner(descriptors: dict[str, int], folder: Path, report: Report) -> Spawner:
    wanted = os.environ.get("RELOAD_FORK") or "yes"
    if wanted not in {"yes", "no"}:
        raise UsageError(f"RELOAD_FORK={wanted} is neither yes nor no")
    if sys.platform == "linux" and wanted == "yes":
        return ForkingSpawner(descriptors, folder, report.pass_on)
    # Apple's frameworks do not survive a fork, and a fork that outlives its template could not be waited for.
    why = "RELOAD_FORK=no" if wanted == "no" else f"a fork is not safe on {sys.platform}"
    report.say(f"processes are started afresh, not forked: {why}")
    return FreshSpawner(descriptors, folder, report.pass_on)


def _ready_within() -> float:
    text = os.environ.get("RELOAD_READY_WITHIN") or str(READY_WITHIN)
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


async def reap(spawner: Spawner) -> None:
    """As process 1: wait for orphans, which the kernel gives to it."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, ended.set)
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _REAP_EVERY)
        ended.clear()
        while _reap_one(spawner.pids):
            pass


def _reap_one(own: set[int]) -> bool:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    if ended is None or ended.si_pid in own:  # asyncio waits for those; what is behind them waits for the next round
        return False
    os.waitpid(ended.si_pid, 0)
    return True


if __name__ == "__main__":
    sys.exit(main())
