"""Whose request it is, and for whom SQL statements run.

The gateway verifies users, and sets the headers that from_gateway() reads. With SERVICE_IDENTITY=none there are none.
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from contextvars import ContextVar
from math import inf
from time import time
from typing import NamedTuple

import orjson

ADMIN = "admin"
"""The role of those who see and change the rows of all users."""

_SUBJECT = re.compile(rb"[\x21-\x7e]{1,255}")  # OpenID Connect Core 1.0, section 2: at most 255 characters of ASCII
_TIME = re.compile(rb"\d{1,12}(\.\d+)?")
_LEEWAY = 61  # s for which the gateway accepts a token that has expired: a minute, in whole seconds


class Identity(NamedTuple):
    """A user, or EVERYONE."""

    user: str
    """The claim `sub`; empty for nobody in particular."""
    sees_all: bool = False
    """Whether the rows of all users, and those of nobody, are visible."""
    expires: float = inf
    """When the token does, in seconds since 1970."""

    @property
    def parameter(self) -> str:
        """A value of the type `acting_user`, see migrations/shared/0002_owners.sql."""
        return f"{'+' if self.sees_all else '-'}{self.user}"


EVERYONE = Identity("", sees_all=True)
"""Without users, everyone sees everything. Background tasks that change owned rows run for it too."""

caller: ContextVar[Identity | None] = ContextVar("caller", default=None)
"""The user whose request is handled; None if there is none."""

acting: ContextVar[Identity | None] = ContextVar("acting", default=None)
"""For whom statements run. With None, those on public tables work, and owned tables seem to be empty."""


def seconds_left() -> float:
    """How long a stream of the caller may go on: the gateway looks at a token only when a request begins."""
    user = caller.get()
    return inf if user is None else user.expires + _LEEWAY - time()


def from_gateway(headers: Iterable[tuple[bytes, bytes]]) -> Identity | None:
    """The user of a request that came through the gateway, from `x-user`, `x-user-roles` and `x-user-expires`.

    None if there is no user, or if a header comes twice: the gateway sets each of them once.
    """
    user = roles = expires = None
    for name, value in headers:
        if name == b"x-user":
            if user is not None or not _SUBJECT.fullmatch(value):
                return None
            user = value.decode("ascii")
        elif name == b"x-user-roles":
            if roles is not None:
                return None
            roles = _list(value)
        elif name == b"x-user-expires":
            if expires is not None or not _TIME.fullmatch(value):
                return None
            expires = float(value)
    return None if user is None else Identity(user, ADMIN in (roles or ()), inf if expires is None else expires)


def _list(value: bytes) -> list[object]:
    """A claim that is a list, as Envoy writes it: base64url of JSON, padded or not. Empty for any other value."""
    try:
        found = orjson.loads(b64decode(value + b"=" * (-len(value) % 4), altchars=b"-_", validate=True))
    except ValueError:
        return []
    return found if isinstance(found, list) else []
