"""The exceptions that become answers. Each has an HTTP status; web/error_handlers.py makes the answer.

ServiceError
├── Malformed             400  the start or the end of the request is unclear; the connection is closed
├── Invalid               422  a field, a parameter, a header or a line of the request is wrong
├── Unauthorized          401  no user is known, and the rows belong to users
├── Forbidden             403
├── NotFound              404
├── PreconditionFailed    412  `If-Match` or `If-None-Match` rules out the version that there is
├── Conflict              409
├── TooLarge              413
├── UnsupportedMediaType  415
├── RequestTimeout        408  the client stopped sending
└── Unavailable           503  with Retry-After: no database, no free connection, too many requests, too slow

The texts are for clients: they say what happened and what to do, and reveal nothing about the inside.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TypedDict


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


class Unauthorized(ServiceError):
    status = HTTPStatus.UNAUTHORIZED

    @property
    def headers(self) -> Mapping[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(ServiceError):
    status = HTTPStatus.FORBIDDEN


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
