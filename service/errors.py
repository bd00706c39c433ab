"""What can go wrong, as a tree of exceptions; each is one RFC 9457 problem.

ServiceError
├── Malformed             400  where the request ends can be read in two ways; the connection is closed
├── Invalid               422  a field, a parameter or a line of the request is wrong
├── NotFound              404
├── PreconditionFailed    412  `If-Match` names another version
├── Conflict              409
├── TooLarge              413
├── UnsupportedMediaType  415
├── RequestTimeout        408  the client stopped sending
└── Unavailable           503  with Retry-After: no database, no connection free, too much to do, out of time

Their texts are for clients: they say what happened and what to do, and nothing of the inside.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypedDict

from pydantic import ValidationError

PROBLEM = "application/problem+json"

BODY_TOO_LARGE = "The body is too large. Send many notes to /notes/import instead."


class FieldError(TypedDict):
    field: str
    message: str


class ServiceError(Exception):
    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def errors(self) -> Sequence[FieldError]:
        return ()


class Malformed(ServiceError):
    status = HTTPStatus.BAD_REQUEST

    @property
    def headers(self) -> Mapping[str, str]:
        return {"connection": "close"}


class Invalid(ServiceError):
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error['field']}: {error['message']}" for error in errors))
        self._errors = errors

    @property
    def errors(self) -> Sequence[FieldError]:
        return self._errors

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        return cls([{"field": field, "message": message}])


class NotFound(ServiceError):
    status = HTTPStatus.NOT_FOUND


class PreconditionFailed(ServiceError):
    status = HTTPStatus.PRECONDITION_FAILED


class Conflict(ServiceError):
    status = HTTPStatus.CONFLICT


class TooLarge(ServiceError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(ServiceError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class RequestTimeout(ServiceError):
    status = HTTPStatus.REQUEST_TIMEOUT


class Unavailable(ServiceError):
    status = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


# Pydantic's words where they name its own classes, or ours.
_MESSAGES = {
    "extra_forbidden": "is not known here",
    "missing": "is missing",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}


def wrong_fields(error: ValidationError, prefix: str = "") -> list[FieldError]:
    """What a model refused. A field is a path of names below `prefix`; without names it is the whole body."""
    return [
        {
            "field": ".".join([*([prefix] if prefix else []), *map(str, wrong["loc"])]) or "body",
            "message": _MESSAGES.get(wrong["type"], wrong["msg"]),
        }
        for wrong in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def in_headers(fields: Sequence[FieldError]) -> list[FieldError]:
    """The same fields under the names of the headers that they were read from."""
    return [{"field": wrong["field"].replace("_", "-"), "message": wrong["message"]} for wrong in fields]


def problem(
    status: int, detail: str, request_id: str, errors: Sequence[FieldError] = (), trace_id: str | None = None
) -> bytes:
    """The body of a problem: RFC 9457's members, what to search for, and the wrong fields if there are any."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": title(status),
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    if trace_id is not None:
        document["trace_id"] = trace_id
    if errors:
        document["errors"] = errors
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def title(status: int) -> str:
    """The status in words."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


# The phrases of RFC 9110; Python before 3.13 has the older ones.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
