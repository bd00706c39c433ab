"""Configures Quart: the router, the OpenAPI description, the pages, and the errors of the router."""

from quart import Quart
from quart_schema import Info, QuartSchema

from service.settings import Settings
from service.web import error_handlers
from service.web.openapi import Description
from service.web.quart_connection import QuartConnection


def make_quart(settings: Settings, summary: str) -> Quart:
    """A Quart application without routes; `summary` describes the API."""
    quart = Quart("service", static_folder=None)
    quart.asgi_http_class = QuartConnection
    quart.config.update(
        MAX_CONTENT_LENGTH=settings.max_body,
        # web/dispatch.py gives each request one deadline for everything.
        BODY_TIMEOUT=None,
        RESPONSE_TIMEOUT=None,
    )
    # The ingress matches paths literally; so does the service.
    quart.url_map.strict_slashes = True
    quart.url_map.merge_slashes = False
    QuartSchema(
        quart,
        info=Info(title=settings.name, version=settings.version, description=summary),
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        conversion_preference="pydantic",
        openapi_provider_class=Description,
    )
    quart.json.sort_keys = False  # type: ignore[attr-defined]  # keep the order of the models
    error_handlers.register(quart)
    return quart
