"""/notes/events streams the changes of notes.

Other tests show that streams outlive the ingress's timeout of other routes (tests/workbench/ingress), and that
heartbeats are sent.
"""

from contextlib import AsyncExitStack
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest

from tests.ingress.contract import Contract
from tests.notes.ingress.events import Subscriber, subscribed
from tests.notes.ingress.notes import create, import_notes


async def history(subscriber: Subscriber, note_id: str, length: int) -> list[tuple[str, int]]:
    """The kinds and versions of the next `length` events about one note."""
    events = [await subscriber.next_about(note_id) for _ in range(length)]
    return [(event.kind, event.data["version"]) for event in events]


async def test_every_subscriber_sees_every_change_in_order(client: httpx.AsyncClient, word: str) -> None:
    async with AsyncExitStack() as stack:
        # More subscribers than replicas.
        subscribers = [await stack.enter_async_context(subscribed(client)) for _ in range(4)]

        note = await create(client, word)
        path = f"/notes/{note['id']}"
        await client.put(path, json={"title": word, "body": "At high tide."})
        await client.put(path, json={"title": word, "body": "At low tide."})
        await client.delete(path)

        for subscriber in subscribers:
            assert await history(subscriber, note["id"], 4) == [
                ("created", 1),
                ("updated", 2),
                ("updated", 3),
                ("deleted", 3),
            ]


async def test_a_subscriber_that_reconnects_misses_nothing(client: httpx.AsyncClient, word: str) -> None:
    async with subscribed(client) as subscriber:
        note = await create(client, word)
        path = f"/notes/{note['id']}"
        assert await history(subscriber, note["id"], 1) == [("created", 1)]

    await client.put(path, json={"title": word, "body": "At high tide."})
    other = await create(client, word)
    await client.delete(path)

    for _ in range(4):  # on every replica
        async with subscribed(client, subscriber.last_event_id) as again:
            about = note["id"], other["id"]
            events = [await again.next_about(*about) for _ in range(3)]
            assert [(event.kind, event.data["id"]) for event in events] == [
                ("updated", note["id"]),
                ("created", other["id"]),
                ("deleted", note["id"]),
            ]


async def test_a_subscriber_without_events_can_reconnect_too(client: httpx.AsyncClient, word: str) -> None:
    async with subscribed(client) as subscriber:
        pass

    note = await create(client, word)

    async with subscribed(client, subscriber.last_event_id) as again:
        assert await history(again, note["id"], 1) == [("created", 1)]


async def test_a_stream_can_be_resumed_after_any_event(client: httpx.AsyncClient, word: str) -> None:
    async with subscribed(client) as subscriber:
        notes = [{"id": str(uuid4()), "title": word} for _ in range(3)]
        await import_notes(client, notes)  # three events of one transaction
        ids = {note["id"] for note in notes}
        events = [await subscriber.next_about(*ids) for _ in notes]

    assert {event.data["id"] for event in events} == ids
    for seen, missing in pairwise(events):
        async with subscribed(client, seen.id) as again:
            assert await again.next_about(*ids) == missing


async def test_a_large_import_is_one_reset(client: httpx.AsyncClient, word: str) -> None:
    ids = [str(uuid4()) for _ in range(150)]
    async with subscribed(client) as subscriber:
        await import_notes(client, ({"id": note_id, "title": word} for note_id in ids))
        last = await create(client, word)

        kinds = []
        while (event := await subscriber.next()).data["id"] != last["id"]:
            assert event.data["id"] not in ids
            kinds.append(event.kind)
            if event.kind == "reset":
                assert event.data == {"kind": "reset", "id": None, "version": None}

    assert "reset" in kinds


async def test_an_unknown_position_is_answered_with_a_reset(client: httpx.AsyncClient, word: str) -> None:
    of_another_database = f"{2**62}-1"

    async with subscribed(client, of_another_database) as subscriber:
        assert (await subscriber.next()).kind == "reset"
        note = await create(client, word)
        assert await history(subscriber, note["id"], 1) == [("created", 1)]


@pytest.mark.parametrize(
    "last_event_id", ["", "1", "1-", "-1", "1-1-1", "a-b", "1 -1", f"1-{2**63}", "9" * 99 + "-1"]
)
async def test_an_invalid_last_event_id_is_refused(
    client: httpx.AsyncClient, contract: Contract, last_event_id: str
) -> None:
    response = await client.get("/notes/events", headers={"last-event-id": last_event_id})

    contract.check(response)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["last-event-id"]


async def test_head_gets_no_stream(client: httpx.AsyncClient) -> None:
    response = await client.head("/notes/events")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
