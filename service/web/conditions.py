"""Conditional requests to what exists but has no version: lists, streams and pages have no ETag (RFC 9110, 13)."""

from hypercorn.typing import HTTPScope

from service.errors import PreconditionFailed
from service.web.answer import Answer

_READS = ("GET", "HEAD")


def check(scope: HTTPScope) -> Answer | None:
    """304 if that is the answer; None if no condition prevents the request. Raises PreconditionFailed."""
    not_modified = False
    for name, value in scope["headers"]:
        if name == b"if-match" and value != b"*":
            raise PreconditionFailed("This address has no ETag, so no If-Match but `*` is met. Leave it out.")
        if name == b"if-none-match" and value == b"*":
            not_modified = True
    if not not_modified:
        return None
    if scope["method"] in _READS:
        return Answer(304)
    raise PreconditionFailed("This address exists, which `If-None-Match: *` rules out. Leave it out.")
