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


# PostgreSQL stores any character except NUL. The parser rejects lone surrogates, which are not characters.
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
ImportedVersion = Annotated[int, Field(ge=1, lt=2**53)]  # leaves room to rise, and every JSON parser reads it exactly


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time_range", "must be within the years 1 to 9999 in UTC") from None


ImportedTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]


def uuid7() -> UUID:
    """A UUIDv7 like those of PostgreSQL's `uuidv7()`: 48 bits of milliseconds, 12 of their fraction, 62 random bits.

    In one process, ids rise as long as the clock does (RFC 9562, section 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | randbits(62))


def _now() -> datetime:
    return datetime.now(UTC)


class NoteContent(BaseModel):
    """The fields of a note that clients write."""

    model_config = ConfigDict(extra="forbid")

    title: Title = Field(examples=["Launch"])
    body: Body = Field("", examples=["At high tide."])


class Note(BaseModel):
    """A note as it is stored."""

    id: UUID
    title: Title
    body: Body
    version: Version = Field(description="Rises by one with each change; in quotes it is the ETag")
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NotePage(BaseModel):
    """One page of notes, newest first."""

    items: list[Note]
    next: str | None = Field(description="The path of the next page, as in the Link header; null on the last page")


class ImportedNote(BaseModel):
    """One line of an import: a line of an export, or only a title and a body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: UUID = Field(default_factory=uuid7)
    title: Title
    body: Body = ""
    version: ImportedVersion = 1
    created_at: ImportedTime = Field(default_factory=_now)
    updated_at: ImportedTime | None = Field(None, description="By default the same as `created_at`")


class ImportResult(BaseModel):
    """How many notes were imported."""

    imported: int


class ListQuery(BaseModel):
    """The parameters of `GET /notes`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Maximum notes on the page")
    after: str | None = Field(
        None, pattern="^[A-Za-z0-9_-]{22}$", description="The cursor, from `next` of the previous page"
    )
    q: Title | None = Field(
        None,
        description='Words to search for; `"a phrase"`, `or` and `-without` work as in search engines',
    )


class CreateHeaders(BaseModel):
    """The headers of `POST /notes`."""

    idempotency_key: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Any unique text. For a day, a request with the same key and content gets the first answer again",
    )


class ReadHeaders(BaseModel):
    """The headers of `GET /notes/{note_id}`."""

    if_none_match: str | None = Field(None, description="The ETag of the version that the client has")


class ChangeHeaders(BaseModel):
    """The headers of `PUT` and `DELETE /notes/{note_id}`."""

    if_match: str | None = Field(None, description="The ETag of the version to change, or several ETags")


class Event(BaseModel):
    """The data of one event of `/notes/events`. `kind` is also the type of the event."""

    kind: Literal["created", "updated", "deleted", "reset"]
    id: UUID | None = Field(description="The id of the note; null for `reset`, which means: read the list again")
    version: Version | None


class EventsHeaders(BaseModel):
    """The headers of `GET /notes/events`."""

    last_event_id: str | None = Field(None, description="The id of the last event that the client received")
