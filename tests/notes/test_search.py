"""Full-text search of notes."""

import pytest

from tests.service.databases import Database
from tests.service.serving import Service


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("boat", ["the boats of the harbour", "a boat in the yard"]),
        ('"boats of the harbour"', ["the boats of the harbour"]),
        ('"harbour boats"', []),
        ("boat -yard", ["the boats of the harbour"]),
        ("yard or tide", ["the tide", "a boat in the yard"]),
        ("lighthouse", ["the tide"]),
        ("the", []),
        ("'; DROP TABLE notes; --", []),
        ('"unclosed & | ! ( :*', []),
    ],
)
async def test_search(searched: Service, query: str, found: list[str]) -> None:
    answer = await searched.api.get("/notes", params={"q": query})

    assert [note["title"] for note in answer.json()["items"]] == found, answer.text


@pytest.fixture(scope="module")
async def searched(shared_service: Service) -> Service:
    await shared_service.create("/notes", title="a boat in the yard")
    await shared_service.create("/notes", title="the boats of the harbour")
    await shared_service.create("/notes", title="the tide", body="Seen from the lighthouse.")
    return shared_service


async def test_the_next_page_of_a_search_has_the_same_query(service: Service) -> None:
    for number in range(5):
        await service.create("/notes", title=f"boat {number}")
        await service.create("/notes", title=f"tide {number}")

    titles: list[str] = []
    path: str | None = "/notes?limit=2&q=boat+-%22boat+3%22"
    while path is not None:
        page = (await service.api.get(path)).json()
        titles += [note["title"] for note in page["items"]]
        path = page["next"]

    assert titles == ["boat 4", "boat 2", "boat 1", "boat 0"]


@pytest.mark.parametrize(("word", "numbers"), [("even", range(6000, 0, -2)), ("old", range(30, 0, -1))])
async def test_a_search_finds_common_words_and_rare_or_old_ones(
    service: Service, database: Database, word: str, numbers: range
) -> None:
    await database.execute(
        "INSERT INTO notes (title, body) "
        "SELECT n, CASE WHEN n % 2 = 0 THEN 'even ' ELSE '' END || CASE WHEN n <= 30 THEN 'old' ELSE '' END "
        "FROM generate_series(1, 6000) AS n"
    )

    first = (await service.api.get(f"/notes?limit=20&q={word}")).json()
    second = (await service.api.get(first["next"])).json()

    found = [int(note["title"]) for page in (first, second) for note in page["items"]]
    assert found == list(numbers)[:40]
