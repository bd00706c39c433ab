"""The body of an error: an RFC 9457 problem, which names the wrong fields if there are any."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from pydantic import ValidationError

from service.errors import FieldError

PROBLEM = "application/problem+json"

# Python before 3.13 has older phrases than RFC 9110.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}

# Pydantic's own messages would show the names of its classes or of ours.
_MESSAGES = {
    "extra_forbidden": "is unknown",
    "missing": "is missing",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
}


def problem(
    status: int, detail: str, request_id: str, errors: Sequence[FieldError] = (), trace_id: str | None = None
) -> bytes:
    """The problem as JSON: the members of RFC 9457, the ids to search the logs for, and the wrong fields."""
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
    """The phrase of a status, such as `Not Found`."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def wrong_fields(error: ValidationError, prefix: str = "") -> list[FieldError]:
    """The fields that a model rejected, as dotted paths that start with `prefix`; the whole value is `body`."""
    return [
        {
            "field": ".".join([*([prefix] if prefix else []), *map(str, wrong["loc"])]) or "body",
            "message": _MESSAGES.get(wrong["type"], wrong["msg"]),
        }
        for wrong in error.errors(include_url=False, include_context=False, include_input=False)
    ]
