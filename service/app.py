"""The application: makes the parts and connects them. Only this module and __main__.py know the domains."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from quart import Quart

import service.domains
from service import pages
from service.database.pool import Database
from service.database.readiness import Readiness
from service.database.standbys import DatabaseWithStandbys
from service.domain import Domain, Machinery, links_of, page_parts, settings_groups
from service.lifecycle import Lifecycle, background_tasks
from service.migrate.files import expected_version
from service.rehearsal.rehearsal import Rehearsal
from service.rehearsal.rollback import RehearsalDatabase
from service.resource.cleanup import Cleanup
from service.resource.feeds import Feeds
from service.settings import Group, Settings
from service.telemetry.metrics import Metrics
from service.telemetry.ops import Ops
from service.tracing.hooks import OFF, Tracing
from service.web.admission import Admission
from service.web.dispatch import Dispatch
from service.web.endpoint import own
from service.web.middleware import Middleware
from service.web.openapi import describe
from service.web.quart_app import make_quart
from service.web.routing import Routing
from service.web.websocket import Handshakes
from service.web.written import Written


def find_domains() -> tuple[Domain, ...]:
    """The `DOMAIN` of each module in `service/domains/`, in the order of their names, and the pages.

    Raises TypeError if a module has none.
    """
    names = sorted(f"service.domains.{module.name}" for module in iter_modules(service.domains.__path__))
    modules = [import_module(name) for name in names]
    for module in modules:
        if not isinstance(getattr(module, "DOMAIN", None), Domain):
            raise TypeError(f"{module.__name__} has no DOMAIN of the class Domain: define it, see service/domain.py")
    return (*(module.DOMAIN for module in modules), pages.DOMAIN)


DOMAINS = find_domains()

SETTINGS_GROUPS: tuple[type[Group], ...] = settings_groups(DOMAINS)


@dataclass(frozen=True, slots=True)
class Application:
    """Two ASGI applications, one for each port, and what they share."""

    api: Any
    ops: Ops
    lifecycle: Lifecycle
    metrics: Metrics
    quart: Quart
    """Behind `api`: the router, the OpenAPI description and the pages."""
    rehearsal: Rehearsal | None = None
    """Only under live reload."""


def create_app(settings: Settings, tracing: Tracing = OFF, domains: Sequence[Domain] = DOMAINS) -> Application:
    """Make the application. Only reads files: other I/O begins with the startup event of the server."""
    lifecycle = Lifecycle()
    metrics = Metrics(settings, lifecycle, tracing.exemplar)
    database = _database(settings, metrics, tracing)
    readiness = Readiness(settings, database, lifecycle, expected_version())
    feeds = Feeds(settings, database, lifecycle, metrics.registry)
    cleanup = Cleanup(settings, database, metrics.registry)
    links = links_of(domains)
    machinery = Machinery(settings, lifecycle, metrics, database, readiness, feeds, links, page_parts(domains))
    built = [domain.build(machinery) for domain in domains]

    quart = make_quart(settings, " ".join(domain.summary for domain in domains if domain.summary))
    for domain, made in zip(domains, built, strict=True):
        quart.register_blueprint(made.blueprint)
        if domain.owned:
            _own(quart, made.blueprint.name)

    @quart.while_serving
    async def lifespan() -> AsyncGenerator[None]:
        await database.open()
        tasks = (task() for made in built for task in made.tasks)
        async with background_tasks(readiness.run(), feeds.run(), cleanup.run(), *tasks):
            yield
        await database.close()
        await tracing.close()

    written = database.written if isinstance(database, DatabaseWithStandbys) else None
    api, rehearsal = _layers(quart, settings, tracing, lifecycle, metrics, written), None
    if isinstance(database, RehearsalDatabase):
        no_limits = settings.model_copy(update={"max_requests": 1000, "max_streams": 1000, "bulk_size": 1000})
        rehearsed = _layers(quart, no_limits, OFF, lifecycle, database.unseen)
        rehearsal = Rehearsal(settings, rehearsed, lambda: describe(quart), lifecycle.show)
        api = rehearsal.recorder.around(api)
    return Application(api, Ops(settings, lifecycle, metrics), lifecycle, metrics, quart, rehearsal)


def _database(settings: Settings, metrics: Metrics, tracing: Tracing) -> Database:
    if settings.rehearses:
        return RehearsalDatabase(settings, metrics, tracing)
    return (DatabaseWithStandbys if settings.database_standby_url else Database)(settings, metrics, tracing)


def _own(quart: Quart, blueprint: str) -> None:
    for name, view in quart.view_functions.items():
        if name.startswith(f"{blueprint}."):
            own(view)


def _layers(
    quart: Quart,
    settings: Settings,
    tracing: Tracing,
    lifecycle: Lifecycle,
    metrics: Metrics,
    written: Callable[[], Awaitable[str]] | None = None,
) -> Any:
    """The ASGI layers in the order in which a request passes them, as docs/architecture.md describes them."""
    # Under live reload the Recorder of service/rehearsal/ is around all of them.
    layers = (
        Handshakes,  # lets the others see a WebSocket as an HTTP request
        tracing.around,  # starts a span, if requests are traced
        lambda app: Middleware(app, settings, lifecycle, metrics),  # request id, common headers, metrics, access log
        lambda app: Routing(app, quart),  # finds the route
        lambda app: Admission(app, settings, metrics),  # takes a slot of the route's kind, or refuses with 503
        lambda app: Written(app, written) if written else app,  # with standbys: how far clients have written
        lambda app: Dispatch(app, settings, lifecycle),  # calls an endpoint: deadline, validation, answer
    )
    app: Any = quart  # answers pages and OPTIONS, and runs the lifespan
    for layer in reversed(layers):
        app = layer(app)
    return app
