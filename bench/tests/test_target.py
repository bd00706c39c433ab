"""Which collection a load writes, on a service that has several of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from bench.target import CannotCreate, find_target
from harness.steady_load import loaded

NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
COLLECTIONS = ("/unique", "/hidden", "/rows", "/others")
"""As the description lists them: /unique takes one member, those of /hidden cannot be read, the others are fine."""


class Service:
    """Answers what a load asks. It knows nothing of databases, so that the tests decide what it answers."""

    def __init__(self) -> None:
        self.collections: tuple[str, ...] = COLLECTIONS
        self.rows: dict[str, list[Any]] = {}
        self.url = ""
        self.port = 0
        self.failing = False
        self.has_root = True
        self.connections: list[asyncio.StreamWriter] = []

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        collection, _, member = path.rpartition("/")
        if path == "/openapi.json":
            content = {"application/json": {"schema": NAMED}}
            post = {"requestBody": {"content": content}, "responses": {"201": {}}}
            root: dict[str, Any] = {"/": {"get": {}}} if self.has_root else {}
            return 200, {}, {"paths": {path: {"post": post} for path in self.collections} | root}
        if method == "POST" and path in self.collections:
            return self._create(path, json.loads(body))
        is_there = int(member or 0) <= len(self.rows.get(collection, ())) and collection != "/hidden"
        return (200 if is_there else 404), {}, {}

    def _create(self, path: str, row: Any) -> tuple[int, dict[str, str], Any]:
        rows = self.rows.setdefault(path, [])
        if self.failing:
            return 503, {"retry-after": "1"}, {"detail": "The database cannot answer right now"}
        if path == "/unique" and rows:
            return 409, {}, {"detail": "There is one already."}
        rows.append(row)
        return 201, {"location": f"{path}/{len(rows)}"}, row

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.decode().split(" ", 2)
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                status, headers, body = self.answer(method, path, await reader.readexactly(int(length or 0)))
                content = json.dumps(body).encode()
                lines = [
                    f"{name}: {value}\r\n" for name, value in {**headers, "content-length": len(content)}.items()
                ]
                writer.write(f"HTTP/1.1 {status} \r\n{''.join(lines)}\r\n".encode() + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.delenv("COLLECTION", raising=False)
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    service.url = f"http://127.0.0.1:{service.port}"
    yield service
    server.close()
    for connection in service.connections:  # or Python warns of one that is collected first
        connection.close()
        with suppress(ConnectionError):
            await connection.wait_closed()


async def test_the_first_collection_is_chosen_whose_members_can_be_created_and_read(service: Service) -> None:
    target = await find_target(service.url)

    assert str(target) == "GET / and POST /rows in turn"
    assert target.why_only_reads == ""


async def test_a_load_creates_members_and_finds_those_that_are_lost(service: Service) -> None:
    target = await find_target(service.url)
    async with loaded(target.load(service.port, 200)) as load:
        await load.more(20)
    service.rows["/rows"].pop()

    assert not load.failures
    assert await target.lost(service.url, load) == [f"/rows/{len(service.rows['/rows']) + 1}"]


async def test_a_collection_can_be_named(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTION", "/others")

    target = await find_target(service.url)

    assert str(target) == "GET / and POST /others in turn"
    assert all(row["name"].startswith("Load ") for row in service.rows["/others"])


async def test_a_collection_that_is_named_with_its_field_is_not_tried(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTION", "/unique:label")

    target = await find_target(service.url)

    assert target.resource.body(3) == {"label": "Load 3"}
    assert service.rows == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/unique", r'^POST /unique answers 409 \{"detail": "There is one already\."\}: name a collection, and '),
        ("/hidden", r"^POST /hidden answers 201 with the Location '/hidden/1', which GET does not find: name "),
        ("/nowhere", r"^http://\S+/openapi\.json describes no collection /nowhere: name a collection, and a field "),
    ],
)
async def test_a_collection_that_is_named_and_cannot_be_used_is_an_error(
    service: Service, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.setenv("COLLECTION", name)

    with pytest.raises(CannotCreate, match=why):
        await find_target(service.url)


@pytest.mark.parametrize(
    ("collections", "why"),
    [
        ((), "/openapi.json describes no collection: name a collection, and a field "),
        (("/unique", "/hidden"), "POST /unique answers 409 "),
    ],
)
async def test_without_a_collection_a_load_only_reads(
    service: Service, collections: tuple[str, ...], why: str
) -> None:
    service.collections = collections

    target = await find_target(service.url)
    async with loaded(target.load(service.port, 200)) as load:
        await load.more(20)

    assert str(target) == "only GET /"
    assert why in target.why_only_reads
    assert {answer.method for answer in load.answers} == {"GET"}
    assert await target.lost(service.url, load) == []


@pytest.mark.parametrize(
    ("collections", "described"), [(COLLECTIONS, "GET /rows and POST /rows in turn"), ((), "only GET /openapi.json")]
)
async def test_a_service_without_a_page_is_read_elsewhere(
    service: Service, collections: tuple[str, ...], described: str
) -> None:
    service.collections, service.has_root = collections, False

    assert str(await find_target(service.url)) == described


async def test_a_service_that_does_not_answer_is_an_error(service: Service) -> None:
    with pytest.raises(CannotCreate, match=r"^http://\S+/openapi\.json: .*: name a collection, and a field of its "):
        await find_target(f"{service.url}/nowhere")


async def test_an_outage_is_no_reason_to_choose_another_collection(service: Service) -> None:
    service.failing = True

    assert str(await find_target(service.url)) == "GET / and POST /unique in turn"
