"""The service in this process: hypercorn on real sockets, as `python -m service` runs it, without its signals.

Quart's own test client would leave out what matters here: the middleware's place in front of Quart, clients that
leave, back pressure, and connections that are closed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from quart import Quart

from service.__main__ import serve_until_closed
from service.app import SETTINGS_GROUPS, Application, create_app
from service.handover.notify import Notifier
from service.handover.ports import Ports
from service.settings import Settings, build
from tests.servers import SERVER
from tests.service.clients import Clients, client_of, listeners
from tests.service.databases import Database
from tests.waiting import WITHIN


def settings_for(database: Database, **changes: object) -> Settings:
    """Settings that suit tests: quick checks and a short end, and no limit that a slow machine could meet."""
    defaults: dict[str, object] = {
        "instance": "test",
        "database_url": database.url("app_rw"),
        "acquire_timeout": WITHIN,
        "statement_timeout": WITHIN,
        "request_timeout": WITHIN,
        # Longer than a client waits, so that an open stream that should have been refused fails its test.
        "heartbeat": 3 * WITHIN,
        "check_interval": 0.2,
        "drain_delay": 0,
        "shutdown_grace": 5,
        "server": SERVER,
    }
    return build(defaults | changes, SETTINGS_GROUPS)


@dataclass(frozen=True)
class Service(Clients):
    """A service in this process."""

    application: Application
    settings: Settings


@asynccontextmanager
async def serving(
    settings: Settings, prepare: Callable[[Quart], object] = lambda app: None
) -> AsyncIterator[Service]:
    """Runs the service on free ports; `prepare` may add routes to its application first."""
    api_socket, ops_socket = listeners()
    api_client, ops_client = client_of(api_socket), client_of(ops_socket)
    # Listening already, so no other process can take the ports and requests can be sent at once.
    binds = {"api_bind": f"fd://{api_socket.detach()}", "ops_bind": f"fd://{ops_socket.detach()}"}
    settings = settings.model_copy(update=binds)
    application = create_app(settings)
    prepare(application.quart)
    server = asyncio.create_task(serve_until_closed(application, settings, Ports.of(settings), Notifier(None)))
    try:
        async with api_client, ops_client:
            yield Service(api_client, ops_client, application, settings)
    finally:
        application.lifecycle.close()
        async with asyncio.timeout(WITHIN):
            status = await server
    assert status == 0
