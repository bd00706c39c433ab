"""`python -m service`: one process, two ports, a shutdown that loses no request.

SIGTERM: `/readyz` fails at once, requests are still accepted for the drain delay, then those in flight finish and
streams end within the grace. SIGINT, or a second SIGTERM, skips the delay.

Exit status: 0 stopped by a signal, 1 cannot listen or crashed, 2 wrong settings.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import Any

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from service import logs
from service.app import Application, create_app
from service.lifecycle import Lifecycle
from service.settings import Settings, SettingsError, load

logger = logging.getLogger("service")

# Above the ingress's idle timeout (60 s, k8s/istio/destinationrule.yaml): the proxy closes idle connections, never
# the service, so no request meets a connection that is being closed.
_KEEP_ALIVE = 75


def main() -> int:
    try:
        settings = load(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"service: {error}\n")
        return 2
    logs.configure(settings)
    # uvloop, because Hypercorn's grace for requests in flight has no effect on asyncio's own loop from 3.12.1 on
    # (pgjones/hypercorn#308).
    return uvloop.run(run(settings))


async def run(settings: Settings) -> int:
    """Serve until a signal; returns the exit status."""
    application = create_app(settings)
    lifecycle = application.lifecycle
    _handle_signals(lifecycle)
    api_closed = asyncio.Event()
    # The ops port outlives the API: probes and the last scrape are answered to the end.
    ops = asyncio.create_task(
        serve(application.ops, _config(settings, settings.ops_bind), shutdown_trigger=api_closed.wait)
    )
    api = asyncio.create_task(_serve_api(application, settings))
    status = 0
    try:
        done, _ = await asyncio.wait({api, ops}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except OSError as error:
        logger.error("cannot listen: %s; look at SERVICE_API_BIND and SERVICE_OPS_BIND", error)
        status = 1
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


async def _serve_api(application: Application, settings: Settings) -> None:
    lifecycle = application.lifecycle

    async def drained() -> None:
        await lifecycle.draining.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(lifecycle.closing.wait(), settings.drain_delay)
        lifecycle.close()

    logger.info("API on %s, ops on %s", settings.api_bind, settings.ops_bind)
    await serve(application.api, _config(settings, settings.api_bind), shutdown_trigger=drained)


def _config(settings: Settings, bind: str) -> Config:
    config = Config()
    config.bind = [bind]
    config.backlog = 2048
    config.graceful_timeout = settings.shutdown_grace
    config.keep_alive_timeout = _KEEP_ALIVE
    config.keep_alive_max_requests = 10**9  # closing every 1000th request would meet the proxy's next one
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    return config


def _handle_signals(lifecycle: Lifecycle) -> None:
    def terminate(*_: Any) -> None:
        if lifecycle.draining.is_set():
            lifecycle.close()
        else:
            lifecycle.drain()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, lifecycle.close)


if __name__ == "__main__":
    sys.exit(main())
