"""How new what a request reads has to be, if reads may go to standbys, which are a little behind."""

import re
from collections.abc import Iterable
from contextvars import ContextVar

POSITION = "x-database-position"
"""The header of an answer to a write, and of a request that has to see that write. The cookie has this name too."""

NEWEST = "newest"
"""Stands for a position that no standby has reached."""

_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
_COOKIE = re.compile(rf"(?:^|;\s*){POSITION}=([^;]*)")
_RELOAD = re.compile(r"(?:^|[\s,])(?:no-cache|no-store|max-age=0)(?:[\s,]|$)", re.IGNORECASE)

after: ContextVar[str | None] = ContextVar("after", default=None)
"""The position in the write-ahead log (`pg_lsn`) that what is read has to include, or NEWEST; None if any will do."""


def wanted(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What the headers of a request ask for, a value of `after`: the header POSITION, the cookie, or Cache-Control.

    NEWEST if a client wants the newest state (`no-cache`), or names a position that is none.
    """
    position = cookie = None
    for name, value in headers:
        if name == POSITION.encode():
            position = value.decode("latin-1")
        elif name == b"cookie" and (found := _COOKIE.search(value.decode("latin-1"))):
            cookie = found[1]
        elif name == b"cache-control" and _RELOAD.search(value.decode("latin-1")):
            return NEWEST
    position = position or cookie
    return position if position is None or _LSN.fullmatch(position) else NEWEST
