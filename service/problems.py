"""Every error that a route, the router or the validation raises, as a problem, or as a page for a browser."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from logging import getLogger

from pydantic import ValidationError
from quart import Quart, Response, request
from quart_schema import RequestSchemaValidationError
from quart_schema.validation import RequestHeadersValidationError
from werkzeug.exceptions import HTTPException

from service import error_page, logs
from service.errors import PROBLEM, FieldError, Invalid, ServiceError, problem, wrong_fields

logger = getLogger(__name__)

# What the router says, in words that help.
_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path. /openapi.json describes what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not have this method. The Allow header lists those it has.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large. Send many notes to /notes/import instead.",
}


def register(app: Quart) -> None:
    """Answer all errors of `app` with problems."""
    app.register_error_handler(ServiceError, _service_error)
    app.register_error_handler(RequestSchemaValidationError, _validation_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)


async def _service_error(error: ServiceError) -> Response:
    return _respond(error.status, error.detail, error.errors, error.headers)


async def _validation_error(error: RequestSchemaValidationError) -> Response:
    fields = _wrong_fields(error.validation_error)
    if isinstance(error, RequestHeadersValidationError):
        fields = [{"field": wrong["field"].replace("_", "-"), "message": wrong["message"]} for wrong in fields]
    return await _service_error(Invalid(fields))


async def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    return _respond(status, _DETAILS.get(status) or error.description or status.phrase, headers=headers)


async def _unexpected_error(error: Exception) -> Response:
    logger.error("unexpected error", exc_info=error)
    return _respond(
        HTTPStatus.INTERNAL_SERVER_ERROR, "The service made an error. It is in the log, under the request id."
    )


def _respond(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> Response:
    given = {**(headers or {}), "cache-control": "no-store", "vary": "accept"}
    request_id = logs.request_id.get() or ""
    if error_page.preferred(request.headers.get("accept", "")):
        return Response(error_page.render(status, detail, request_id), status, {**given, **error_page.HEADERS})
    body = problem(status, detail, request_id, errors, logs.trace_id.get())
    return Response(body, status, given, content_type=PROBLEM)


def _wrong_fields(error: Exception) -> list[FieldError]:
    return wrong_fields(error) if isinstance(error, ValidationError) else [{"field": "body", "message": str(error)}]
