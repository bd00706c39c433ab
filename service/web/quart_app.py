"""Configures Quart: the router, the OpenAPI description, and the pages."""

from collections.abc import Callable
from typing import Any, cast

from hypercorn.typing import HTTPScope
from quart import Quart
from quart.ctx import RequestContext
from quart.globals import request_ctx
from quart.routing import QuartRule
from quart.typing import ResponseReturnValue
from quart_schema import Info, QuartSchema
from werkzeug.exceptions import NotFound

from service.settings import Settings
from service.web import error_handlers
from service.web.openapi import DOCUMENT, ISSUER, USERS, Description
from service.web.quart_connection import QuartConnection
from service.web.routing import match_of


class _Rule(QuartRule):
    """Compiles what builds URLs only when it is called. Nothing here calls it, and it takes most of create_app()."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        def build(rule: QuartRule, **values: Any) -> tuple[str, str]:
            return compile_builder(append_unknown)(rule, **values)

        compile_builder = super()._compile_builder
        return build


class Pages(Quart):
    """Calls a view function only for the route that web/routing.py has found: an endpoint is called by Dispatch."""

    url_rule_class = _Rule

    async def dispatch_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue:
        request = (request_context or request_ctx).request
        rule = request.url_rule
        if rule is not None and rule.rule != match_of(cast(HTTPScope, request.scope)).route:
            raise NotFound
        return await super().dispatch_request(request_context)


def make_quart(settings: Settings, summary: str) -> Quart:
    """A Quart application without routes; `summary` describes the API."""
    quart = Pages("service", static_folder=None)
    quart.asgi_http_class = QuartConnection
    quart.config[USERS] = settings.identity == "gateway"
    quart.config[ISSUER] = settings.identity_issuer
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
        openapi_path=DOCUMENT,
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
        conversion_preference="pydantic",
        openapi_provider_class=Description,
    )
    quart.json.sort_keys = False  # type: ignore[attr-defined]  # keep the order of the models
    error_handlers.register(quart)
    return quart
