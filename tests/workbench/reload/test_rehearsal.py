"""New code answers the last requests of the running code before it serves, and whatever it does then is undone."""

import asyncio
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from harness.steady_load import Load, loaded
from service.app import create_app
from service.rehearsal.cost import Cost, counting
from service.rehearsal.recorder import LARGEST_BODY, MOST, Recorder, Request
from service.settings import load
from service.tracing.hooks import OFF
from service.web.websocket import Handshakes
from tests.probe.project import MODULE
from tests.workbench.reload.live import Live
from tests.workbench.things import ANY, LOAD

LIST = '        return paging.answer("/things", query, rows)\n'
CREATE = '        return created.answer("/things")\n'
EVENTS = "        return feed.subscribe(headers.last_event_id)\n"
EXPORT = "(SELECT * FROM things ORDER BY id)"

RATE = 50  # requests a second


async def begin(live: Live, path: str) -> None:
    """Opens a stream and leaves it."""
    async with live._client(live.url).stream("GET", path) as response:
        assert response.status_code == 200
        async for _ in response.aiter_raw():
            break


async def create(live: Live, **headers: str) -> httpx.Response:
    """The headers' names have `_` for `-`."""
    name = {"name": f"rehearsal {uuid4()}"}
    sent = {header.replace("_", "-"): value for header, value in headers.items()}
    answer = await live._client(live.url).post("/things", json=name, headers=sent)
    assert answer.status_code == 201
    return answer


async def test_handlers_that_raise_never_serve(live: Live, ingress_port: int) -> None:
    await create(live)
    await begin(live, "/things/events")
    await begin(live, "/things/export")
    failed = await live.metric('reloads_total{result="failed"}')
    breakages = [
        (LIST, f"        1 / 0\n{LIST}", rf"{MODULE}:(\d+): GET /things: ZeroDivisionError: division by zero"),
        (CREATE, f"        created.row['no']\n{CREATE}", rf"{MODULE}:(\d+): POST /things: KeyError: 'no'"),
        (EVENTS, f"        headers.no\n{EVENTS}", rf"{MODULE}:(\d+): GET /things/events: AttributeError: .*"),
        (EXPORT, EXPORT.replace("things", "gone"), r"\S+:(\d+): GET /things/export: UndefinedTableError: .*"),
    ]
    async with loaded(Load(ingress_port, RATE, LOAD, keys=False, most=10)) as load:
        for number, (old, new, reason) in enumerate(breakages):
            good = live.sources.version
            live.forget()
            live.sources.edit(MODULE, old, new)
            line = await live.says("the new code does not serve: ")
            found = re.search(rf"the new code does not serve: {reason}; version {good} keeps serving", line)
            assert found, line
            if old != EXPORT:
                assert (
                    live.sources.read(MODULE).splitlines()[int(found[1]) - 1].strip() == new.splitlines()[0].strip()
                )
            assert len(live.said(rf"│ {reason}$")) == 1
            assert not live.said("Traceback|unexpected error")
            assert await live.metric("reload_code_stale") == 1

            live.sources.write(MODULE, live.sources.read(MODULE).replace(new, old) + f"\n# {number}\n")
            await load.first(live.sources.version)
    assert not load.failures
    assert await live.metric('reloads_total{result="failed"}') == failed + len(breakages)


async def test_nothing_of_a_rehearsal_stays(
    live: Live, database: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    key = str(uuid4())
    created = (await create(live, idempotency_key=key)).json()
    name = created["name"]
    await database.execute("DELETE FROM idempotency_keys WHERE key = $1", key)  # or it would not create another one
    seen = tmp_path / "seen"
    spy = f"        __import__('pathlib').Path({str(seen)!r}).write_text(str(created.replayed))\n"
    async with live._client(live.url).stream("GET", "/things/events") as response:
        stream = response.aiter_text()
        await anext(stream)
        live.sources.edit(MODULE, CREATE, f"{spy}{CREATE}")
        await live.reloads()
        assert seen.read_text() == "False", "the new code has not created a thing in its rehearsal"
        events = "".join([text async for text in stream])  # until the old process leaves
    # Its own event may come late: a stream begins with what the process has read.
    assert set(re.findall(r'"id":"(.*?)"', events)) <= {created["id"]}
    assert await database.fetchval("SELECT count(*) FROM things WHERE name = $1", name) == 1
    assert await database.fetchval("SELECT count(*) FROM idempotency_keys WHERE key = $1", key) == 0
    assert 'method="POST",route="/things"' not in (await live.ops("/metrics")).text

    first = await create(live, idempotency_key=key)
    live.forget()
    live.sources.append(MODULE, "\n# rehearses a key that is used\n")
    await live.reloads()
    assert seen.read_text() == "True"
    again = await live._client(live.url).post(
        "/things", json={"name": first.json()["name"]}, headers={"idempotency-key": key}
    )
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, first.json(), "true")


async def test_each_block_of_a_rehearsed_request_sees_the_one_before(live: Live, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    await create(live)
    reads = f"""\
        async with database.connection() as connection:
            found = await connection.fetchrow(GET, created.row["id"])
        __import__('pathlib').Path({str(seen)!r}).write_text(found["name"])
{CREATE}"""
    live.sources.edit(MODULE, CREATE, reads)
    await live.reloads()
    assert seen.read_text().startswith("rehearsal ")

    seen.unlink()  # nobody has created a thing since: the new process has the requests of the old one
    live.forget()
    live.sources.append(MODULE, "\n# rehearsed again\n")
    await live.reloads()
    assert seen.exists()


async def test_what_the_running_code_fails_too_refuses_nothing(live: Live, tmp_path: Path) -> None:
    fails = tmp_path / "fails"
    live.sources.edit(MODULE, LIST, f"        assert not __import__('pathlib').Path({str(fails)!r}).exists()\n{LIST}")
    await live.reloads()
    await live.get(ANY)
    fails.touch()
    live.forget()
    live.sources.append(MODULE, "\n# has nothing to do with it\n")
    await live.says(f"version {live.sources.version} answers after")
    fails.unlink()


async def test_an_intended_refusal_of_clients_serves(live: Live) -> None:
    await live.get(ANY)
    live.sources.edit(MODULE, LIST, f"        raise versions.not_found('list', 1)\n{LIST}")
    await live.says(f"version {live.sources.version} answers after")
    assert (await live.get(ANY)).status_code == 404


async def test_a_handler_that_ends_the_process_never_serves(live: Live) -> None:
    await live.get(ANY)
    live.sources.edit(MODULE, LIST, f"        __import__('os')._exit(3)\n{LIST}")
    await live.says("the new code does not serve: it ended without an error message, exit status 3; version")
    assert (await live.get(ANY)).status_code == 200


async def test_a_handler_that_hangs_costs_the_budget_and_is_said(live: Live) -> None:
    live.sources.write(".env", "SERVICE_REHEARSAL_BUDGET=0.1\n")
    await live.says("answers after")
    live.forget()
    await live.get(ANY)
    live.sources.edit(MODULE, LIST, f"        await __import__('asyncio').Event().wait()\n{LIST}")
    await live.says(rf"version {live.sources.version} answers after .*, \d+ of \d+ requests rehearsed$")


async def test_a_handler_that_hangs_hides_no_other_that_raises(live: Live) -> None:
    live.sources.write(".env", "SERVICE_REHEARSAL_BUDGET=1\n")
    await live.says("answers after")
    live.forget()
    await create(live)
    await live.get(ANY)  # the newest request is rehearsed first
    live.sources.edit(MODULE, CREATE, f"        1 / 0\n{CREATE}")
    live.sources.edit(MODULE, LIST, f"        await __import__('asyncio').Event().wait()\n{LIST}")
    await live.says("POST /things: ZeroDivisionError: division by zero; version")


async def test_without_a_budget_nothing_is_rehearsed(live: Live) -> None:
    await live.get(ANY)
    live.sources.write(".env", "SERVICE_REHEARSAL_BUDGET=0\n")
    await live.says("answers after")
    live.forget()
    live.sources.edit(MODULE, LIST, f"        1 / 0\n{LIST}")
    await live.says(f"version {live.sources.version} answers after")
    assert (await live.get(ANY)).status_code == 500


@pytest.mark.parametrize("variables", [{}, {"SERVICE_REHEARSAL_SOCKET": "/nowhere", "SERVICE_REHEARSAL_BUDGET": "0"}])
def test_without_a_supervisor_or_a_budget_no_layer_keeps_requests(variables: dict[str, str]) -> None:
    application = create_app(load(variables), domains=[])
    assert application.rehearsal is None
    assert isinstance(application.api, Handshakes)


def request(route: str, number: int = 0, status: int = 200) -> Request:
    return Request("GET", route, route, route, f"n={number}", [], "", status, Cost({"a": number}, 0.5))


def test_the_newest_requests_of_each_kind_are_kept() -> None:
    recorder = Recorder()
    recorder.keep(request(f"/{route}", number) for number in range(2) for route in range(MOST + 5))
    recorder.keep([request("/404", status=404), request("/20", 7), request("/late")])
    kept = recorder.requests
    assert len(kept) == MOST
    assert [one.path for one in kept[:2]] == ["/late", "/20"]
    assert kept[1].query_string == "n=7"
    assert kept[-1].status == 404
    assert Request.decode(kept[0].encode()) == kept[0]


@pytest.mark.parametrize(
    ("length", "status", "is_kept"),
    [(LARGEST_BODY, 200, True), (LARGEST_BODY + 1, 200, False), (5, 404, True), (5, 500, False), (5, 503, False)],
)
async def test_what_is_kept(length: int, status: int, is_kept: bool) -> None:
    recorder, body = Recorder(), bytes(range(256)) * (length // 256) + b"\xff" * (length % 256)
    parts, tracing = [body[:3], body[3:]], counting(OFF)
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"content-length", b"%d" % length)],
        "state": {},
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(event: Any) -> None:
        await asyncio.sleep(0)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            tracing.start_statement("part", "SELECT 1")
        await send({"type": "http.response.start", "status": status, "headers": []})

    await recorder.around(app)(scope, receive, send)
    kept = [Request.decode(request.encode()) for request in recorder.requests]
    assert [(one.body.encode("latin-1"), one.cost and one.cost.statements) for one in kept] == (
        [(body, {"part": 1})] if is_kept else []
    )
