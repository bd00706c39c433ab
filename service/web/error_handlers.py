"""Answers every error of an endpoint, a page or the router: with a page for browsers, otherwise with a problem."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from logging import getLogger

from quart import Quart, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import WebsocketMismatch

from service.errors import FieldError, ServiceError
from service.telemetry import logs
from service.web import error_page
from service.web.answer import Answer, encode
from service.web.problem import PROBLEM, problem

logger = getLogger(__name__)

# The router's own texts do not say what to do.
_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path. /openapi.json lists the paths of the API.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not support this method. Use one that the Allow header lists.",
}


def service_error(error: ServiceError, accept: str) -> Answer:
    """The answer to a ServiceError. `accept` is the Accept header of the request."""
    return _answer(error.status, error.detail, accept, error.errors, error.headers)


def unexpected_error(error: Exception, accept: str) -> Answer:
    """The answer to a defect. The error is logged; the client gets only the id of the request."""
    logger.error("unexpected error", exc_info=error)
    detail = "The service failed unexpectedly. The error is in its log, under this request id."
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, detail, accept)


def router_error(error: HTTPException, accept: str) -> Answer:
    """The answer to an error of the router, or to one that a page raises."""
    if isinstance(error, WebsocketMismatch):
        detail = "There is a WebSocket at this path. Connect to it as such (RFC 6455)."
        upgrade = {"upgrade": "websocket", "connection": "upgrade"}
        return _answer(HTTPStatus.UPGRADE_REQUIRED, detail, accept, headers=upgrade)
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name.lower(): value for name, value in error.get_headers() if name.lower() == "allow"}
    detail = _DETAILS.get(status) or error.description or status.phrase
    return _answer(status, detail, accept, headers=headers)


def register(quart: Quart) -> None:
    """Make Quart answer its errors in the same way."""
    quart.register_error_handler(ServiceError, _service_error)
    quart.register_error_handler(HTTPException, _http_error)
    quart.register_error_handler(Exception, _unexpected_error)


async def _service_error(error: ServiceError) -> Response:
    return _response(service_error(error, _accept()))


async def _http_error(error: HTTPException) -> Response:
    return _response(router_error(error, _accept()))


async def _unexpected_error(error: Exception) -> Response:
    return _response(unexpected_error(error, _accept()))


def _answer(
    status: int,
    detail: str,
    accept: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    given = {**(headers or {}), "cache-control": "no-store", "vary": "accept"}
    request_id = logs.request_id.get() or ""
    if error_page.preferred(accept):
        return Answer(status, error_page.render(status, detail, request_id), encode(given | error_page.HEADERS))
    body = problem(status, detail, request_id, errors, logs.trace_id.get())
    return Answer(status, body, encode({**given, "content-type": PROBLEM}))


def _accept() -> str:
    accept: str = request.headers.get("accept", "")
    return accept


def _response(answer: Answer) -> Response:
    headers = Headers([(name.decode(), value.decode()) for name, value in answer.headers])
    return Response(answer.body, answer.status, headers)
