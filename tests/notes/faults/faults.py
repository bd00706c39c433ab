"""The faults of tests/faults on the service with notes, and one more: clients whose clocks are wrong."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import httpx

from tests.faults import faults
from tests.faults.clients import exports_read_slowly
from tests.faults.faults import Fault
from tests.faults.site import Service, Site
from tests.probe.collection import Collection

NOTES = Service("service", Collection("/notes", "title"), users=True)

_MANY = """
    INSERT INTO app.notes (title, body) SELECT 'long export', repeat('x', 10000) FROM generate_series(1, 2000)
"""
_YEARS = 10 * 365 * 86_400.0


async def clock_jumps(site: Site, _: float) -> str:
    """Clients that are ten years ahead or behind choose times and ids. Each note must be on exactly one page."""
    word, made = f"w{uuid4().hex}", []
    async with httpx.AsyncClient(base_url=site.url, auth=site.user, timeout=30) as client:
        for jump in (0.0, _YEARS, -_YEARS, 0.0):
            now = time.time() + jump
            note = {"id": _uuid7(now), "title": word, "created_at": datetime.fromtimestamp(now, UTC).isoformat()}
            date = {"date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))}
            answer = await client.post(
                "/notes/import",
                content=json.dumps(note).encode(),
                headers={"content-type": "application/x-ndjson", **date},
            )
            assert answer.status_code == 200, answer.text
            made.append(note["id"])
            made.append((await client.post("/notes", json={"title": word}, headers=date)).json()["id"])
        found, path = [], f"/notes?limit=3&q={word}"
        while path:
            page = (await client.get(path)).json()
            found += [note["id"] for note in page["items"]]
            path = page["next"]
        assert found == sorted(made, reverse=True), "the pages lost or repeated notes of clients with a wrong clock"
        for note_id in made:
            await client.delete(f"/notes/{note_id}")
    return ""


def _uuid7(when: float) -> str:
    return str(UUID(int=int(when * 1000) << 80 | 7 << 76 | 2 << 62 | uuid4().int >> 66))


def _on_notes(fault: Fault) -> Fault:
    if fault.inject is exports_read_slowly:
        return replace(fault, inject=partial(exports_read_slowly, many=_MANY))
    return fault


FAULTS = (*map(_on_notes, faults.FAULTS), Fault("clients' clocks jump by ten years", clock_jumps, briefly=0))
