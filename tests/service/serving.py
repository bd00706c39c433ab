"""Runs the service in this process on real sockets, as `python -m service` does, but without its signals.

Quart's test client would leave out what matters here: the ASGI layers in front of Quart, clients that disconnect,
back pressure, and connections that are closed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from quart import Quart

from service.__main__ import serve_until_closed
from service.app import Application, create_app
from service.domain import Domain, settings_groups
from service.handover.notify import Notifier
from service.handover.ports import Ports
from service.settings import Settings, build
from tests.probe import things
from tests.servers import SERVER
from tests.service.clients import Clients, client_of, listeners
from tests.service.databases import Database
from tests.waiting import WITHIN

PROBE: Sequence[Domain] = (things.DOMAIN,)


def settings_for(database: Database, domains: Sequence[Domain] = PROBE, **changes: object) -> Settings:
    """Settings for tests: frequent checks, a short end, and no limit that a slow machine could exceed."""
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
    return build(defaults | changes, settings_groups(domains))


@dataclass(frozen=True)
class Service(Clients):
    """A service in this process."""

    application: Application
    settings: Settings


@asynccontextmanager
async def serving(
    settings: Settings, prepare: Callable[[Quart], object] = lambda app: None, domains: Sequence[Domain] = PROBE
) -> AsyncIterator[Service]:
    """Runs the service on free ports; `prepare` may first add routes to its Quart application."""
    api_socket, ops_socket = listeners()
    api_client, ops_client = client_of(api_socket), client_of(ops_socket)
    # The sockets listen already: no other process can take the ports, and requests can be sent at once.
    binds = {"api_bind": f"fd://{api_socket.detach()}", "ops_bind": f"fd://{ops_socket.detach()}"}
    settings = settings.model_copy(update=binds)
    application = create_app(settings, domains=domains)
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
