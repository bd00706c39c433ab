"""`python -m service`: one process, two ports, a shutdown that loses no request.

SIGTERM: `/readyz` fails at once, requests are still accepted for the drain delay, then those in flight finish and
streams end within the grace. SIGINT, or a second signal, skips the delay. SIGHUP: another process serves on the same
sockets; this one stops accepting, gives its idle connections to the other and answers what it has begun. SIGUSR1:
accept, for the first time with SERVICE_LISTEN=told, or again.

Exit status: 0 stopped by a signal, 1 cannot listen or crashed, 2 wrong settings or any argument.
"""

import gc
import signal
import sys

if __name__ == "__main__":
    gc.disable()  # nothing of what is imported is garbage: looking for it took an eighth of a start; run() enables it
    # Until run() handles them. As the first process of a container it would not even notice SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from service.app import DOMAINS, Application, create_app
from service.domain import Domain, settings_groups
from service.handover.connections import Connections
from service.handover.loop import ServingLoop
from service.handover.notify import Notifier
from service.lifecycle import Lifecycle, background_tasks
from service.server import contract as server
from service.settings import Settings, SettingsError, load
from service.telemetry import logs
from service.tracing import choice as tracing
from service.tracing.hooks import Tracing

logger = logging.getLogger("service.server")


def main(domains: Sequence[Domain] = DOMAINS) -> int:
    if unknown := sys.argv[1:]:
        sys.stderr.write(f"service: {' '.join(unknown)} is not understood: what can be set is a SERVICE_* variable\n")
        return 2
    try:
        settings = load(os.environ, settings_groups(domains))
        traced = tracing.from_environment(os.environ, settings)
    except SettingsError as error:
        sys.stderr.write(f"service: {error}\n")
        return 2
    logs.configure(settings)
    notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
    notifier.stage("imported")
    loop = partial(ServingLoop, _connections(settings), accepts=settings.listen != "told")
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(run(settings, traced, notifier, domains))


async def run(settings: Settings, traced: Tracing, notifier: Notifier, domains: Sequence[Domain] = DOMAINS) -> int:
    """Serve until a signal; returns the exit status."""
    application = create_app(settings, traced, domains)
    lifecycle = application.lifecycle
    gc.freeze()  # all this lives as long as the process: no collection needs to look at it
    gc.enable()  # who has forked this process may have switched it off until here
    notifier.stage("created")
    _handle_signals(application, notifier)
    async with background_tasks(_notify(lifecycle, notifier)):
        return await serve_until_closed(application, settings)


async def _notify(lifecycle: Lifecycle, notifier: Notifier) -> None:
    """Tell a supervisor, if there is one, what happens, and when both ports serve and the database answers."""
    loop = asyncio.get_running_loop()
    if not notifier or not isinstance(loop, ServingLoop):
        return
    for name in ("service.server", "service.lifecycle"):
        logging.getLogger(name).setLevel(logging.WARNING)  # the supervisor says what happens, in one line
    lifecycle.observe = notifier.status
    await lifecycle.started.wait()
    await loop.complete.wait()
    if not lifecycle.draining.is_set():
        notifier.ready()


def _connections(settings: Settings) -> Connections | None:
    ends = settings.give_connections, settings.take_connections
    given, taken = (end and socket.socket(fileno=int(end.removeprefix("fd://"))) for end in ends)
    return Connections(given, taken) if given and taken else None


async def serve_until_closed(application: Application, settings: Settings) -> int:
    """Serve on both ports until the lifecycle is closed and its requests are finished; returns the exit status."""
    lifecycle = application.lifecycle
    try:
        serve = server.choose(settings)
        api_listener = server.listen("SERVICE_API_BIND", settings.api_bind)
        ops_listener = server.listen("SERVICE_OPS_BIND", settings.ops_bind)
    except server.CannotServe as error:
        logger.error("%s", error)
        return 1
    logger.info("API on %s, ops on %s", settings.api_bind, settings.ops_bind)
    limits = server.Limits(settings.shutdown_grace)
    api_closed = asyncio.Event()

    async def serve_ops() -> None:
        if settings.listen != "immediately":
            await lifecycle.started.wait()
        await serve(_observed(application.ops), ops_listener, api_closed.wait, limits)

    async def drained() -> None:
        await lifecycle.draining.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(lifecycle.closing.wait(), settings.drain_delay)
        lifecycle.close()

    # The ops port outlives the API: probes and the last scrape are answered to the end.
    ops = asyncio.create_task(serve_ops())
    api = asyncio.create_task(serve(_observed(application.api), api_listener, drained, limits))
    status = 0
    try:
        done, _ = await asyncio.wait({api, ops}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except Exception:
        logger.exception("the server failed")
        status = 1
    lifecycle.close()
    api_closed.set()
    for task in (api, ops):
        with suppress(Exception):  # a failure of the first was reported above
            await task
    logger.info("stopped")
    return status


def _observed(app: Any) -> Any:
    loop = asyncio.get_running_loop()
    return loop.connections.around(app) if isinstance(loop, ServingLoop) and loop.connections else app


def _handle_signals(application: Application, notifier: Notifier) -> None:
    lifecycle, loop = application.lifecycle, asyncio.get_running_loop()

    def terminate() -> None:
        if lifecycle.draining.is_set():
            lifecycle.close()
        else:
            lifecycle.drain()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, lifecycle.close)
    if not isinstance(loop, ServingLoop):
        return

    async def hand_over() -> None:
        lifecycle.handed_over = True
        await loop.stop_accepting()
        notifier.handed_over(application.metrics.answered)

    async def accept() -> None:
        lifecycle.handed_over = False
        await loop.accept()

    loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(hand_over()))
    loop.add_signal_handler(signal.SIGUSR1, lambda: loop.create_task(accept()))


if __name__ == "__main__":
    sys.exit(main())
