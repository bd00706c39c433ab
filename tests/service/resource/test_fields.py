"""What the types of service/resource/fields.py accept."""

from datetime import UTC, datetime
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.resource.fields import STORABLE, Time


class Visit(BaseModel):
    model_config = ConfigDict(strict=True)

    at: Time = datetime(2026, 1, 1, tzinfo=UTC)
    ship: Annotated[str, Field(min_length=1, max_length=5), STORABLE] = "Ada"


@pytest.mark.parametrize(
    "text", ["2026-11-26T10:00:00Z", "2026-11-26T12:00:00+02:00", "2026-11-26T05:30:00.000-04:30"]
)
def test_a_time_with_any_offset_is_in_utc(text: str) -> None:
    at = Visit.model_validate_json(f'{{"at": "{text}"}}').at

    assert (at, at.tzinfo) == (datetime(2026, 11, 26, 10, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1900000000", "such as 2030-05-01T08:00:00Z"),
        ("0.5", "such as 2030-05-01T08:00:00Z"),
        ('"1900000000"', "such as 2030-05-01T08:00:00Z"),
        ('"-1.5"', "such as 2030-05-01T08:00:00Z"),
        ("true", "such as 2030-05-01T08:00:00Z"),
        ("null", "such as 2030-05-01T08:00:00Z"),
        ('"2026-11-26T10:00:00"', "timezone"),
        ('"2026-11-26"', "timezone"),
        ('"tomorrow"', "valid datetime"),
        ('"0001-01-01T00:00:00+14:00"', "years 1 to 9999"),
    ],
)
def test_anything_else_is_no_time(value: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Visit.model_validate_json(f'{{"at": {value}}}')


@pytest.mark.parametrize("ship", ["", "Aurora", "a\\u0000b"])
def test_text_has_its_length_and_no_nul(ship: str) -> None:
    with pytest.raises(ValidationError):
        Visit.model_validate_json(f'{{"ship": "{ship}"}}')


def test_the_description_says_what_is_accepted() -> None:
    described = Visit.model_json_schema()["properties"]

    assert (described["at"]["type"], described["at"]["format"]) == ("string", "date-time")
    assert (described["ship"]["maxLength"], described["ship"]["pattern"]) == (5, r"^[^\x00]*$")
