"""The shapes of requests and responses; `/openapi.json` is made from them."""

import time
from datetime import UTC, datetime
from secrets import randbits
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("nul", "must not contain the NUL character")
    return text


# PostgreSQL stores any text but NUL. Lone surrogates are no text, and the parser refuses them.
_WITHOUT_NUL: JsonDict = {"pattern": r"^[^\x00]*$"}
Title = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra=_WITHOUT_NUL),
    AfterValidator(_without_nul),
]
Body = Annotated[
    str,
    Field(max_length=10_000, json_schema_extra=_WITHOUT_NUL),
    AfterValidator(_without_nul),
]
Version = Annotated[int, Field(ge=1, lt=2**63)]
ImportedVersion = Annotated[int, Field(ge=1, lt=2**53)]  # room to rise, and exact in every parser of JSON


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time_range", "must be within the years 1 to 9999 in UTC") from None


ImportedTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]


def uuid7() -> UUID:
    """A UUIDv7 as PostgreSQL's `uuidv7()` makes it: 48 bits of milliseconds, 12 of their fraction, 62 random.

    Rising within a process as long as its clock rises (RFC 9562, section 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | randbits(62))


def _now() -> datetime:
    return datetime.now(UTC)


class NoteContent(BaseModel):
    """What a client writes."""

    model_config = ConfigDict(extra="forbid")

    title: Title = Field(examples=["Launch"])
    body: Body = Field("", examples=["At high tide."])


class Note(BaseModel):
    """A note as it is stored."""

    id: UUID
    title: Title
    body: Body
    version: Version = Field(description="Rises by one with each change; quoted, it is the ETag")
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NotePage(BaseModel):
    """One page of notes, newest first."""

    items: list[Note]
    next: str | None = Field(description="The next page's path, also in the Link header; null on the last page")


class ImportedNote(BaseModel):
    """One line of an import: what an export wrote, or only a title and a body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: UUID = Field(default_factory=uuid7)
    title: Title
    body: Body = ""
    version: ImportedVersion = 1
    created_at: ImportedTime = Field(default_factory=_now)
    updated_at: ImportedTime | None = Field(None, description="The same as `created_at` if not given")


class ImportResult(BaseModel):
    """How many notes the import made."""

    imported: int


class ListQuery(BaseModel):
    """The parameters of `GET /notes`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Notes a page")
    after: str | None = Field(None, pattern="^[A-Za-z0-9_-]{22}$", description="The cursor in the last page's `next`")
    q: Title | None = Field(
        None,
        description='Words to search for; `"a phrase"`, `or` and `-without` work as in search engines',
    )


class CreateHeaders(BaseModel):
    """The headers that matter to a creation."""

    idempotency_key: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Any unique text. For a day, a repeat with the same key and content gets the first answer again",
    )


class ReadHeaders(BaseModel):
    """The headers that matter to reading a note."""

    if_none_match: str | None = Field(None, description="The ETag of the version that is known already")


class ChangeHeaders(BaseModel):
    """The headers that matter to a change of a note."""

    if_match: str | None = Field(None, description="The ETag of the version that is to be changed, or several")


class Event(BaseModel):
    """The data of one event of `/notes/events`; its kind is the event's type."""

    kind: Literal["created", "updated", "deleted", "reset"]
    id: UUID | None = Field(description="The note; null for `reset`, which means: read the list again")
    version: Version | None


class EventsHeaders(BaseModel):
    """The headers that matter to a subscription."""

    last_event_id: str | None = Field(None, description="The id of the last event that was seen")
