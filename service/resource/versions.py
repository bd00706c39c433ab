"""The version of a row as its ETag: conditional reads and changes, so no client overwrites what it has not seen."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from werkzeug.http import parse_etags

from service.database.pool import Connection, Statement
from service.errors import NotFound, PreconditionFailed
from service.web.answer import Answer, encode, json

_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class ReadHeaders(BaseModel):
    """The headers of a GET of one row."""

    if_none_match: str | None = Field(None, description="The ETag of the version that the client has")


class ChangeHeaders(BaseModel):
    """The headers of a PUT, PATCH or DELETE of one row."""

    if_match: str | None = Field(None, description="The ETag of the version to change, or several ETags")


def etag(row: Mapping[str, Any]) -> dict[str, str]:
    """The header of the row's version."""
    return {"etag": f'"{row["version"]}"'}


def answer(row: Mapping[str, Any], if_none_match: str | None = None) -> Answer:
    """200 with the row, or 304 if the client has this version."""
    if if_none_match is not None:
        known = parse_etags(if_none_match)
        if known.star_tag or known.contains_weak(str(row["version"])):
            return Answer(304, headers=encode(etag(row)))
    return json(row, etag(row))


def expected(if_match: str | None) -> list[int] | None:
    """The versions that `If-Match` allows; None if it allows any. A tag that is not a version matches nothing."""
    if if_match is None or (tags := parse_etags(if_match)).star_tag:
        return None
    return [int(tag) for tag in tags.as_set() if _VERSION.fullmatch(tag)]


def not_found(name: str, row_id: UUID) -> NotFound:
    """The error if there is no row with this id; `name` is what a row is called."""
    return NotFound(f"There is no {name} {row_id}. It may have been deleted.")


async def why_unchanged(
    connection: Connection, get: Statement, name: str, row_id: UUID
) -> NotFound | PreconditionFailed:
    """The error if a change on condition of a version found no row. `get` selects the row by its id."""
    row = await connection.fetchrow(get, row_id)
    if row is None:
        return not_found(name, row_id)
    return PreconditionFailed(
        f"The {name} is at version {row['version']} now. Read it again, then repeat the change with its ETag."
    )
