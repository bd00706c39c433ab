"""Every error that a route, the router or the validation raises, as a problem, or as a page for a browser."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from logging import getLogger

from pydantic import ValidationError
from quart import Quart, Response, request
from quart_schema import RequestSchemaValidationError
from quart_schema.validation import RequestHeadersValidationError
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from service.errors import (
    BODY_TOO_LARGE,
    PROBLEM,
    FieldError,
    Invalid,
    ServiceError,
    in_headers,
    problem,
    wrong_fields,
)
from service.telemetry import logs
from service.web import error_page
from service.web.answer import Answer, encode

logger = getLogger(__name__)

# What the router says, in words that help.
_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path. /openapi.json describes what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not have this method. The Allow header lists those it has.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BODY_TOO_LARGE,
}


def register(app: Quart) -> None:
    """Answer all errors of `app` with problems."""
    app.register_error_handler(ServiceError, _service_error)
    app.register_error_handler(RequestSchemaValidationError, _validation_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)


def service_error(error: ServiceError, accept: str) -> Answer:
    """The answer to a request whose client accepts `accept`."""
    return _answer(error.status, error.detail, accept, error.errors, error.headers)


def unexpected_error(error: Exception, accept: str) -> Answer:
    """The same for a defect, which is logged."""
    logger.error("unexpected error", exc_info=error)
    detail = "The service made an error. It is in the log, under the request id."
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, detail, accept)


async def _service_error(error: ServiceError) -> Response:
    return _response(service_error(error, _accept()))


async def _validation_error(error: RequestSchemaValidationError) -> Response:
    fields = _wrong_fields(error.validation_error)
    if isinstance(error, RequestHeadersValidationError):
        fields = in_headers(fields)
    return await _service_error(Invalid(fields))


async def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    detail = _DETAILS.get(status) or error.description or status.phrase
    return _response(_answer(status, detail, _accept(), headers=headers))


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


def _wrong_fields(error: Exception) -> list[FieldError]:
    return wrong_fields(error) if isinstance(error, ValidationError) else [{"field": "body", "message": str(error)}]
