"""The version of a row as its ETag: conditional reads and changes, so no client overwrites what it has not seen."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel, Field
from werkzeug.datastructures import ETags
from werkzeug.http import parse_etags

from service.database.pool import Connection, Statement
from service.errors import NotFound, PreconditionFailed
from service.web.answer import Answer, encode, json

Versions: TypeAlias = str
"""PostgreSQL's text form of an int8multirange, of which asyncpg would have to learn the type on each connection."""

_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class Conditions(BaseModel):
    """The headers of a GET, PUT, PATCH or DELETE of one row that make it depend on the row's version."""

    if_match: str | None = Field(None, description="The ETags that it may have, or `*`; 412 if it has none of them")
    if_none_match: str | None = Field(
        None, description="The ETags that it may not have, or `*`; 304 to a GET, and else 412, if it has one of them"
    )


def etag(row: Mapping[str, Any]) -> dict[str, str]:
    """The header of the row's version."""
    return {"etag": f'"{row["version"]}"'}


def answer(row: Mapping[str, Any], name: str = "", conditions: Conditions | None = None) -> Answer:
    """200 with the row, or 304 if the client has this version; `name` is what a row is called.

    Raises PreconditionFailed.
    """
    if conditions is not None:
        if (match := conditions.if_match) is not None and row["version"] not in _Tags(match):
            raise _ruled_out(name, row["version"])
        if (none_match := conditions.if_none_match) is not None and row["version"] in _Tags(none_match, weak=True):
            return Answer(304, headers=encode(etag(row)))
    return json(row, etag(row))


def allowed(conditions: Conditions) -> Versions | None:
    """The versions that may be changed; None if the conditions allow any. In a statement:

    WHERE id = $1 AND ($2::text IS NULL OR version <@ $2::int8multirange)
    """
    included = None if conditions.if_match is None else _Tags(conditions.if_match).versions
    excluded = set() if conditions.if_none_match is None else _Tags(conditions.if_none_match, weak=True).versions
    if excluded is None:
        return "{}"
    if included is not None:
        return f"{{{','.join(f'[{version},{version}]' for version in sorted(included - excluded))}}}"
    if excluded:
        bounds = pairwise(("", *sorted(excluded), ""))
        return f"{{{','.join(f'({lower},{upper})' for lower, upper in bounds)}}}"
    return None


def not_found(name: str, row_id: UUID) -> NotFound:
    """The error if there is no row with this id; `name` is what a row is called."""
    return NotFound(f"There is no {name} {row_id}. It may have been deleted.")


async def why_unchanged(
    connection: Connection, get: Statement, name: str, row_id: UUID
) -> NotFound | PreconditionFailed:
    """The error if a change on condition of a version found no row. `get` selects the row by its id."""
    row = await connection.fetchrow(get, row_id)
    return not_found(name, row_id) if row is None else _ruled_out(name, row["version"])


def _ruled_out(name: str, version: int) -> PreconditionFailed:
    return PreconditionFailed(
        f"The {name} is at version {version} now, which If-Match or If-None-Match rules out. Read it again, "
        "then repeat the request with its ETag in If-Match."
    )


class _Tags:
    """The ETags of a header. `weak` ones are those of a version too, where that is enough (RFC 9110, 8.8.3.2)."""

    def __init__(self, header: str, *, weak: bool = False) -> None:
        tags: ETags = parse_etags(header)
        self.versions: set[int] | None = None
        """None for `*`, any version. A tag that is not a version matches nothing."""
        if not tags.star_tag:
            self.versions = {int(tag) for tag in tags.as_set(include_weak=weak) if _VERSION.fullmatch(tag)}

    def __contains__(self, version: int) -> bool:
        return self.versions is None or version in self.versions
