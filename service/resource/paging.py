"""Lists, page by page, newest first. A page is a range of the primary key, and a cursor is the last id of a page.

So a late page costs as much as the first one, and pages do not shift when rows are inserted or deleted meanwhile.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from service.web.answer import Answer, json

Item = TypeVar("Item")


class PageQuery(BaseModel):
    """The parameters of a list; a resource adds its own."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Maximum items on the page")
    after: str | None = Field(
        None, pattern="^[A-Za-z0-9_-]{22}$", description="The cursor, from `next` of the previous page"
    )

    @property
    def rows(self) -> int:
        """The LIMIT of the statement: one row more than the page needs shows whether there is a next page."""
        return self.limit + 1

    @property
    def after_id(self) -> UUID | None:
        """The rows of the page have smaller ids than this; None on the first page."""
        return UUID(bytes=urlsafe_b64decode(self.after + "==")) if self.after else None


class Page(BaseModel, Generic[Item]):
    """One page, newest first."""

    items: list[Item]
    next: str | None = Field(description="The path of the next page, as in the Link header; null on the last page")


DOCUMENTED = {"link": 'The next page, with `rel="next"`'}
"""The headers of answer(), for `@response_headers(200, **DOCUMENTED)`."""


def answer(collection: str, query: PageQuery, rows: Sequence[asyncpg.Record]) -> Answer:
    """200 with the page. `rows` are at most `query.rows` rows; `collection` is the path of the list."""
    items = [dict(row) for row in rows[: query.limit]]
    path = None
    if len(rows) > query.limit:
        cursor = urlsafe_b64encode(items[-1]["id"].bytes).rstrip(b"=").decode()
        parameters = query.model_dump(mode="json", by_alias=True, exclude_none=True) | {"after": cursor}
        path = f"{collection}?{urlencode(parameters, doseq=True)}"
    return json({"items": items, "next": path}, {"link": f'<{path}>; rel="next"'} if path else {})
