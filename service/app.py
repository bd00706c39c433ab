"""The application: makes the parts and connects them, nothing else."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import cast

from quart import Quart
from quart_schema import Info, QuartSchema
from quart_schema.typing import PydanticDumpOptions

from service.database.pool import Database
from service.database.readiness import Readiness
from service.lifecycle import Lifecycle, background_tasks
from service.migrate import expected_version
from service.notes import routes as note_routes
from service.notes.cleanup import Cleanup
from service.notes.feed import Feed
from service.pages import routes as page_routes
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.ops import Ops
from service.tracing.hooks import OFF, Tracing
from service.web import error_handlers as problems
from service.web.admission import Admission
from service.web.dispatch import ENDPOINTS, Endpoints
from service.web.middleware import Middleware
from service.web.openapi import Description
from service.web.quart_connection import HTTPConnection, Request


@dataclass(frozen=True, slots=True)
class Application:
    """Two ASGI applications, for two ports, and the lifecycle that they report."""

    api: Quart
    ops: Ops
    lifecycle: Lifecycle
    metrics: Metrics


def create_app(settings: Settings, tracing: Tracing = OFF) -> Application:
    """Make the application. Does no I/O: that begins with the server's start-up event."""
    lifecycle = Lifecycle()
    metrics = Metrics(settings, lifecycle, tracing.exemplar)
    database = Database(settings, metrics, tracing)
    readiness = Readiness(settings, database, lifecycle, expected_version())
    feed = Feed(settings, database, lifecycle, metrics)
    cleanup = Cleanup(settings, database, metrics)

    app = Quart(__name__, static_folder=None)
    app.asgi_http_class = HTTPConnection
    app.request_class = Request
    Request.streamed_uploads = note_routes.STREAMED_UPLOADS
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body,
        REQUEST_TIMEOUT=settings.request_timeout,
        STREAM_IDLE_TIMEOUT=settings.stream_idle_timeout,
        # The deadline bounds a request as a whole; Quart's own limits would cut streams without a word.
        BODY_TIMEOUT=None,
        RESPONSE_TIMEOUT=None,
    )
    # The ingress matches paths as they are; so does the service.
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    QuartSchema(
        app,
        info=Info(title=settings.name, version=settings.version, description="Notes."),
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        conversion_preference="pydantic",
        # Its type forgets `mode`; without it, Flask would write times in the form of HTTP headers.
        pydantic_dump_options=cast(PydanticDumpOptions, {"mode": "json"}),
        openapi_provider_class=Description,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # as the models order them
    problems.register(app)
    app.extensions[ENDPOINTS] = Endpoints(app, settings.request_timeout, settings.max_body)
    app.extensions["notes"] = note_routes.Notes(settings, database, feed)
    app.extensions["pages"] = page_routes.Pages(settings, lifecycle, readiness)
    app.register_blueprint(note_routes.blueprint)
    app.register_blueprint(page_routes.blueprint)
    admission = Admission(settings, metrics, note_routes.STREAMS)
    middleware = Middleware(app.asgi_app, settings, lifecycle, admission, metrics)
    app.asgi_app = tracing.around(middleware)  # type: ignore[method-assign]  # as Quart's documentation has it

    @app.while_serving
    async def lifespan() -> AsyncGenerator[None]:
        await database.open()
        async with background_tasks(readiness.run(), feed.run(), cleanup.run()):
            if settings.listen != "immediately":
                await lifecycle.started.wait()
            yield
        await database.close()
        await tracing.close()

    return Application(app, Ops(settings, lifecycle, metrics), lifecycle, metrics)
