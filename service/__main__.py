"""`python -m service`: one process, two ports, and a shutdown that loses no request.

SIGTERM: `/readyz` fails at once. The process accepts requests for the drain delay; after that, requests in flight
finish and streams end within the grace.
SIGINT, or a second SIGTERM: the same without the delay.
SIGHUP: another process serves on the same sockets. This one stops accepting, gives its idle connections to the other
process and finishes its requests in flight.
SIGUSR1: accept connections, for the first time with SERVICE_LISTEN=told, or again after SIGHUP.

Exit status: 0 stopped by a signal, 1 cannot listen or crashed, 2 wrong settings or any argument.
"""

import gc
import signal
import sys

if __name__ == "__main__":
    # The imports create no garbage, and the collector took an eighth of the start; run() enables it.
    gc.disable()
    # Until run() installs its handlers. The first process of a container ignores a SIGTERM that has no handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress

import uvloop

from service.app import DOMAINS, Application, create_app
from service.domain import Domain, settings_groups
from service.handover.notify import Notifier
from service.handover.ports import Ports
from service.lifecycle import Lifecycle
from service.server.choice import choose, listen
from service.server.contract import CannotServe, Limits
from service.settings import Settings, SettingsError, load
from service.telemetry import logs
from service.tracing import choice as tracing
from service.tracing.hooks import Tracing

logger = logging.getLogger("service.server")


def main(domains: Sequence[Domain] = DOMAINS) -> int:
    if arguments := sys.argv[1:]:
        sys.stderr.write(f"service: takes no arguments ({' '.join(arguments)}); set SERVICE_* variables instead\n")
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, traced, notifier, domains))


async def run(settings: Settings, traced: Tracing, notifier: Notifier, domains: Sequence[Domain]) -> int:
    """Serve until a signal stops the process. Returns the exit status."""
    application = create_app(settings, traced, domains)
    ports = Ports.of(settings)
    gc.freeze()  # all this lives as long as the process: no collection needs to look at it
    gc.enable()  # it is off since the process started or was forked
    notifier.stage("created")
    if notifier:
        application.lifecycle.observe = notifier.status
        for name in ("service.server", "service.lifecycle"):
            logging.getLogger(name).setLevel(logging.WARNING)  # the supervisor reports the rest
    _handle_signals(application, ports, notifier)
    return await serve_until_closed(application, settings, ports, notifier)


def _handle_signals(application: Application, ports: Ports, notifier: Notifier) -> None:
    lifecycle, loop = application.lifecycle, asyncio.get_running_loop()

    def terminate() -> None:
        if lifecycle.draining.is_set():
            lifecycle.close()
        else:
            lifecycle.drain()

    async def hand_over() -> None:
        lifecycle.handed_over = True
        await ports.hand_over()
        notifier.handed_over(application.metrics.answered)

    async def accept() -> None:
        lifecycle.handed_over = False
        await ports.accept()
        rehearsal = application.rehearsal
        if rehearsal:
            await rehearsal.offer()
        notifier.compared(await rehearsal.compare() if rehearsal else None)

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, lifecycle.close)
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(hand_over()))
    loop.add_signal_handler(signal.SIGUSR1, lambda: loop.create_task(accept()))


async def serve_until_closed(application: Application, settings: Settings, ports: Ports, notifier: Notifier) -> int:
    """Serve on both ports until the lifecycle is closed and its requests are answered. Returns the exit status."""
    lifecycle = application.lifecycle
    try:
        serve = ports.observe(choose(settings))
        api_listener = listen("SERVICE_API_BIND", settings.api_bind)
        ops_listener = listen("SERVICE_OPS_BIND", settings.ops_bind)
    except CannotServe as error:
        logger.error("%s", error)
        return 1
    logger.info("API on %s, ops on %s", settings.api_bind, settings.ops_bind)
    limits = Limits(settings.shutdown_grace)
    status = 0
    try:
        # The ops port outlives the API, so that probes and the last scrape are answered to the end.
        async with serve(application.ops, ops_listener, limits) as ops:
            if settings.listen == "immediately":
                await ports.open(ops)
            async with serve(application.api, api_listener, limits) as api:
                if application.rehearsal:
                    application.rehearsal.ask()
                if settings.listen != "immediately":
                    await lifecycle.started.wait()
                await ports.open(ops, api)
                await lifecycle.started.wait()
                if not lifecycle.draining.is_set():
                    notifier.stage("ready")
                    if await _is_refused(application, notifier):
                        status = 1
                        lifecycle.close()
                    else:
                        notifier.ready()
                await _drained(lifecycle, settings.drain_delay)
    except Exception:
        logger.exception("the server failed")
        lifecycle.close()
        status = 1
    logger.info("stopped")
    return status


async def _is_refused(application: Application, notifier: Notifier) -> bool:
    """Whether this code fails requests that the running code answers. The reason is written to stderr."""
    if application.rehearsal is None:
        return False
    why = await application.rehearsal.run(notifier.rehearsing, notifier.rehearsed)
    sys.stderr.write(why)
    return bool(why)


async def _drained(lifecycle: Lifecycle, delay: float) -> None:
    """Wait for the signal to stop and for the drain delay, then close the lifecycle."""
    await lifecycle.draining.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(delay):
            await lifecycle.closing.wait()
    lifecycle.close()


if __name__ == "__main__":
    sys.exit(main())
