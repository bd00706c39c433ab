"""`/openapi.json`: quart-schema's description of the endpoints, and what it leaves out. Made once."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from quart import Quart
from quart_schema import OpenAPIProvider
from werkzeug.routing import UUIDConverter
from werkzeug.routing.converters import BaseConverter
from werkzeug.routing.rules import Rule

from service.web.endpoint import Media, NoQuery, Route, endpoint_of
from service.web.problem import PROBLEM, title

DOCUMENT = "/openapi.json"
"""Its route."""

_HEADERS = "_service_response_headers"
_ANONYMOUS = "_service_anonymous"

# Any route may answer these. 400, 429 and 504 come from the ingress: malformed HTTP, rate limit, no answer in time.
# 503 also comes from the service: too many requests are running, or the database does not answer.
_EVERYWHERE = (400, 429, 503, 504)
_RETRY_AFTER = ("retry-after", "Seconds to wait before the next attempt")
_WITH_HEADER = {429: _RETRY_AFTER, 503: _RETRY_AFTER, 401: ("www-authenticate", "`Bearer`")}
# If there are users: a token that is not valid is refused everywhere. So is no token, and one that does not give the
# right, wherever the gateway does not let everybody through.
_TO_ALL, _TO_USERS = (401,), (401, 403)

USERS = "USERS"
"""The key of Quart's configuration that says whether there are users."""
ISSUER = "ISSUER"
"""The key for the address of their identity provider, or its path."""

# Two ways to send the same: a token that somebody has, or one that a program fetches. docs.js knows the second name.
_TOKEN, _SIGN_IN = "user", "sign-in"


class WrongField(BaseModel):
    """One field, parameter, header or line that is wrong, and why."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457: what went wrong and what to do."""

    type: str
    title: str = Field("", description="The phrase of the status; missing if the ingress refused malformed HTTP")
    status: int
    detail: str
    request_id: str | None = Field(None, description="Give this id when you ask for help")
    trace_id: str | None = Field(
        None, description="The id of the request's trace; missing if requests are not traced"
    )
    errors: list[WrongField] | None = None


def response_headers(status: int, **headers: str) -> Callable[[Route], Route]:
    """Describe the headers of a response: names, with `_` for `-`, and their meanings."""

    def decorator(route: Route) -> Route:
        documented = dict(getattr(route, _HEADERS, {}))
        documented[status] = {name.replace("_", "-"): meaning for name, meaning in headers.items()}
        setattr(route, _HEADERS, documented)
        return route

    return decorator


def anonymous(route: Route) -> Route:
    """Describe that the gateway lets everybody reach the route.

    What lets them is `paths` in k8s/components/identity/authorizationpolicy-gateway.yaml.
    """
    setattr(route, _ANONYMOUS, True)
    return route


class Description(OpenAPIProvider):
    """quart-schema's description with problems, headers, streamed bodies, UUIDs and unique ids; made only once."""

    _made: dict[str, Any] | None = None

    def schema(self) -> dict[str, Any]:
        if self._made is None:
            made = super().schema()
            made["components"]["schemas"] |= {
                "WrongField": WrongField.model_json_schema(),
                "Problem": Problem.model_json_schema(ref_template="#/components/schemas/{model}"),
            }
            made["components"]["schemas"]["Problem"].pop("$defs", None)
            if self._app.config[USERS]:
                discovery = f"{self._app.config[ISSUER].rstrip('/')}/.well-known/openid-configuration"
                made["components"]["securitySchemes"] = {
                    _TOKEN: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                    _SIGN_IN: {"type": "openIdConnect", "openIdConnectUrl": discovery},
                }
            self._made = made
        return self._made

    def operation_id(self, method: str, path: str, func: Callable[..., Any]) -> str:
        """From the method and the path, which no two routes share: `get_things_by_thing_id`."""
        parts = [part.replace("{", "by_").replace("}", "") for part in path.split("/") if part]
        return "_".join([method.lower(), *(parts or ["root"])]).replace("-", "_").replace(".", "_")

    def build_path_parameter(self, name: str, converter: BaseConverter) -> dict[str, Any]:
        parameter = super().build_path_parameter(name, converter)
        if isinstance(converter, UUIDConverter):
            parameter["schema"] = {"type": "string", "format": "uuid", "examples": [str(UUID(int=7 << 76 | 2 << 62))]}
        return parameter

    def build_querystring_parameters(self, model: type[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        return ([], {}) if model is NoQuery else super().build_querystring_parameters(model)  # it takes long

    def build_paths(self, rule: Rule) -> tuple[dict[str, Any], dict[str, Any]]:
        paths, components = super().build_paths(rule)
        route = self._app.view_functions[rule.endpoint]
        for operations in paths.values():
            for operation in operations.values():
                _complete(operation, route, users=self._app.config[USERS])
        return paths, components


def describe(quart: Quart) -> dict[str, Any]:
    """The document of `/openapi.json`. Making it takes tens of milliseconds, later calls nothing."""
    document: dict[str, Any] = quart.extensions["QUART_SCHEMA"].openapi_provider.schema()
    return document


def _complete(operation: dict[str, Any], route: Callable[..., Any], *, users: bool) -> None:
    responses, endpoint = operation["responses"], endpoint_of(route)
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True
    if endpoint is not None and endpoint.upload is not None:
        operation["requestBody"] = {"required": True, **_stream(endpoint.upload)}
    if endpoint is not None and endpoint.stream is not None:
        responses[200] = _stream(endpoint.stream)
    for status, headers in getattr(route, _HEADERS, {}).items():
        response = responses.setdefault(status, {"description": HTTPStatus(status).phrase})
        response["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        }
    refusals: tuple[int, ...] = ()
    if users and getattr(route, _ANONYMOUS, False):
        refusals = _TO_ALL
    elif users:
        operation["security"] = [{_TOKEN: []}, {_SIGN_IN: []}]
        refusals = _TO_USERS
    for status in sorted({*(endpoint.errors if endpoint else ()), *_EVERYWHERE, *refusals}):
        responses[status] = _problem_response(status)


def _stream(media: Media) -> dict[str, Any]:
    return {"description": media.description, "content": {media.type: {"schema": {"type": "string"}}}}


def _problem_response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": title(status),
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in _WITH_HEADER:
        name, meaning = _WITH_HEADER[status]
        response["headers"] = {name: {"description": meaning, "schema": {"type": "string"}}}
    return response
