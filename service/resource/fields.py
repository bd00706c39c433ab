"""Types for the fields of models, and UUIDv7."""

import re
import time
from datetime import UTC, datetime
from secrets import randbits
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class _Storable:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_without_nul, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"pattern": r"^[^\x00]*$"}


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise PydanticCustomError("nul", "must not contain the NUL character")
    return text


STORABLE = _Storable()
"""For text: `Annotated[str, Field(max_length=200), STORABLE]`. PostgreSQL stores any character except NUL; the parser
of JSON already rejects lone surrogates, which are not characters."""

_NUMBER = re.compile(r"[-+]?[0-9.]*")

Version = Annotated[int, Field(ge=1, lt=2**63)]
ImportedVersion = Annotated[int, Field(ge=1, lt=2**53)]
"""Leaves room to rise, and every JSON parser reads it exactly."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time_range", "must be within the years 1 to 9999 in UTC") from None


def _written_out(moment: object) -> object:
    """Pydantic would take a number for seconds since 1970, which the description of the API does not allow."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and not _NUMBER.fullmatch(moment)):
        return moment
    raise PydanticCustomError("time_text", "must be a time such as 2030-05-01T08:00:00Z")


# Not strict, because a text is what even a strict model gets.
Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""A time that clients send: a text with any offset; in Python and in PostgreSQL it is in UTC."""


def now() -> datetime:
    return datetime.now(UTC)


def uuid7() -> UUID:
    """A UUIDv7 like those of PostgreSQL's `uuidv7()`: 48 bits of milliseconds, 12 of their fraction, 62 random bits.

    In one process, ids rise as long as the clock does (RFC 9562, section 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | randbits(62))
