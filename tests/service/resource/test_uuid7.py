"""uuid7() makes the ids of imported things, PostgreSQL's uuidv7() those of all others."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.resource.fields import uuid7
from tests.service.databases import Database


def test_has_the_version_and_the_variant_of_rfc_9562() -> None:
    made = [uuid7() for _ in range(200)]

    assert {id.version for id in made} == {7}
    assert {id.int >> 62 & 0b11 for id in made} == {0b10}


def test_holds_the_time_in_milliseconds_and_their_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_500_000)  # half a millisecond after .123

    made = uuid7()

    assert made.int >> 80 == 1_700_000_000_123
    assert made.int >> 64 & 0xFFF == 0x800, "RFC 9562, section 6.2, method 3: 12 bits of the millisecond's fraction"


def test_the_last_nanosecond_of_a_millisecond_stays_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_999_999)

    assert uuid7().int >> 64 == 1_700_000_000_123 << 16 | 0x7FFF


def test_rises_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # 300 ns apart: the fraction has steps of 244 ns.
    clock = iter(range(1_700_000_000_000_000_000, 1_700_000_000_003_000_000, 300))
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))

    made = [uuid7() for _ in range(10_000)]

    assert made == sorted(made)


def test_two_ids_of_the_same_nanosecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)

    assert len({uuid7() for _ in range(1000)}) == 1000


async def test_sorts_together_with_the_ids_of_postgresql(database: Database) -> None:
    made: list[UUID] = []
    async with database.connection() as connection:
        for _ in range(20):
            made.append(uuid7())
            made.append(await connection.fetchval("SELECT uuidv7()"))
        sorted_by_postgresql = await connection.fetchval(
            "SELECT array_agg(id ORDER BY id) FROM unnest($1::uuid[]) id", made
        )
        age = await connection.fetchval("SELECT now() - uuid_extract_timestamp($1)", uuid7())

    assert made == sorted(made), "made in turns, the ids are in the order of their creation"
    assert sorted_by_postgresql == made
    assert abs(age) < timedelta(minutes=1), "PostgreSQL reads the same time from it"
    assert abs(datetime.now(UTC).timestamp() * 1000 - (uuid7().int >> 80)) < 60_000
