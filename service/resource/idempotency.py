"""Idempotency-Key: a client may repeat a POST, for example after a lost connection, and yet it creates only once.

The row and the key are inserted by one statement, so at no moment does one exist without the other. A second request
with the same key meets the primary key of the table of keys, or a constraint of the row's own table: it waits until
the first one commits, then gets its answer.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from pydantic import BaseModel, Field, ValidationError

from service import identity
from service.database.pool import Connection, Statement
from service.errors import Conflict, Invalid
from service.resource import queries
from service.resource.versions import etag
from service.web.answer import Answer, json

_PARAMETER = re.compile(r"\$(\d+)")


class CreateHeaders(BaseModel):
    """The headers of a POST that creates a row."""

    idempotency_key: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Any unique text. For a day, a request with the same key and content gets the first answer again",
    )


@dataclass(frozen=True, slots=True)
class Created:
    """A row that was created, by this request or by an earlier one with the same key."""

    row: dict[str, Any]
    replayed: bool = False

    def answer(self, collection: str) -> Answer:
        """201 with the row. `collection` is the path that its id is appended to."""
        headers = {"location": f"{collection}/{self.row['id']}", **etag(self.row)}
        if self.replayed:
            headers["idempotency-replayed"] = "true"
        return json(self.row, headers, 201)


DOCUMENTED = {
    "location": "The path of what was created",
    "etag": "Its version, for If-Match and If-None-Match",
    "idempotency_replayed": "`true` if an earlier request with the same key created it",
}
"""The headers of Created.answer(), for `@response_headers(201, **DOCUMENTED)`."""


def with_key(insert: Statement) -> Statement:
    """The statement for once(): it also stores the inserted row as the answer to a key.

    `insert` is INSERT ... RETURNING the columns of the answer. Its parameters keep their numbers.
    """
    last = max(map(int, _PARAMETER.findall(insert.sql)), default=0)
    return Statement(
        f"{insert.name}_with_key",
        f"""
        WITH made AS ({insert.sql}), claim AS (
            INSERT INTO idempotency_keys (scope, key, fingerprint, answer)
            SELECT ${last + 1}, ${last + 2}, ${last + 3}, to_jsonb(made) FROM made
        )
        SELECT * FROM made
        """,  # noqa: S608 - a constant of the program
    )


async def once(
    connection: Connection,
    scope: str,
    key: str,
    content: BaseModel,
    statement: Statement,
    *values: object,
    answer: type[BaseModel],
) -> Created:
    """Insert a row, unless a request with this key has done so: then return the row as that request left it.

    `scope` is the method and the path of the request: the same key elsewhere is another key. So is that of another
    user, if the rows are owned. `statement` is made by with_key(), `values` are the parameters of the INSERT, and
    `answer` is the model of the row. `content` is what the client sent: raises Invalid if the key was used with other
    content, and Conflict if the key cannot be claimed. All other errors of the INSERT are raised as they are, unless
    the key was used: then the first answer counts.
    """
    if (user := identity.acting.get()) and user.user:
        scope = f"{scope}\n{user.user}"  # a path has no such character
    # Without defaults, so that a later version with more optional fields knows the request again.
    fingerprint = hashlib.sha256(content.model_dump_json(exclude_defaults=True).encode()).digest()
    for _ in range(3):
        try:
            [row] = await connection.fetch(statement, *values, scope, key, fingerprint)
            return Created(dict(row))
        except asyncpg.IntegrityConstraintViolationError as error:
            # The row is inserted before the key: a constraint of the table may refuse it because of the very row that
            # the first request made.
            first = await connection.fetchrow(queries.FIRST_ANSWER, scope, key)
            if first is None and error.table_name != "idempotency_keys":
                raise
        if first is None:
            continue  # the key expired between the two statements, so it is free again
        if first["fingerprint"] != fingerprint:
            raise Invalid.field("idempotency-key", "was used with other content; use a new key")
        return Created(_first(first["answer"], answer), replayed=True)
    raise Conflict("The Idempotency-Key is in use by another request. Try again.")


def _first(stored: str, answer: type[BaseModel]) -> dict[str, Any]:
    """A stored answer in the order and the form of the model, or as it is if an earlier version had other fields."""
    try:
        return answer.model_validate_json(stored).model_dump()
    except ValidationError:
        fields: dict[str, Any] = orjson.loads(stored)
        return fields
