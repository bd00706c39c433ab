"""Requests of malicious clients to the routes of notes. tests/faults has those that concern every route."""

import json
import re
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.faults.hostile import NDJSON, Target, body_is_not_kept, columns, injections, printable


async def test_text_that_looks_like_code_is_only_data(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url, auth=target.user, timeout=30) as client:
        before = await columns(target.site)
        for text in injections("notes"):
            key = f"{uuid4().hex}{re.sub(r'[^!-~]', '', text)}"[:200]
            made = await client.post("/notes", json={"title": text, "body": text}, headers={"idempotency-key": key})
            assert made.status_code == 201, made.text
            again = await client.post("/notes", json={"title": text, "body": text}, headers={"idempotency-key": key})
            assert (again.json()["id"], again.headers["idempotency-replayed"]) == (made.json()["id"], "true")
            path = made.headers["location"]
            changed = await client.put(path, json={"title": text, "body": text * 2}, headers={"if-match": '"1"'})
            assert (changed.status_code, changed.json()["title"]) == (200, text)
            line = json.dumps({"title": text, "body": text}).encode()
            imported = await client.post("/notes/import", content=line, headers=NDJSON)
            assert imported.status_code == 200, imported.text
            # As a search, id, cursor, version or position in the stream it is invalid, or finds nothing.
            for answer in (
                await client.get("/notes", params={"q": text}),
                await client.get("/notes", params={"after": text}),
                await client.get("/notes", params={"limit": text}),
                await client.get("/notes", params={text: "1"}),
                await client.get(f"/notes/{quote(text, safe='')}"),
                await client.put(path, json={"title": "x"}, headers={"if-match": printable(text)}),
                await client.delete(path, headers={"if-match": f'"{printable(text)}"'}),
                await client.get("/notes/events", headers={"last-event-id": printable(text)}),
            ):
                assert answer.status_code in {200, 400, 404, 412, 422}, (text, answer.request.url, answer.text)
                assert "x-injected" not in answer.headers
            await client.delete(path)
        assert await columns(target.site) == before


async def test_an_import_of_100_mib_without_a_line_is_not_kept_in_memory(target: Target) -> None:
    await body_is_not_kept(target, "/notes/import", "application/x-ndjson", b"413")
