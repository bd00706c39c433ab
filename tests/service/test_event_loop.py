"""No route blocks the event loop: a request that blocks makes all others wait."""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blockbuster import BlockingError, blockbuster_ctx
from quart import Quart
from werkzeug.routing import Rule

from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.serving import Service

NDJSON = {"content-type": "application/x-ndjson"}


@contextmanager
def blocking_is_an_error() -> Iterator[None]:
    with blockbuster_ctx() as blockbuster:
        # asyncpg looks for ~/.pgpass whenever it connects without a password. That takes some 10 µs per connection,
        # and a connection serves thousands of requests.
        blockbuster.functions["os.stat"].can_block_in("asyncpg/connect_utils.py", "_read_password_file")
        # Quart asks for a file's size and time on the loop; it reads the file in a thread.
        blockbuster.functions["os.stat"].can_block_in("quart/helpers.py", {"send_file", "send_from_directory"})
        # Files in /proc are on no disk: the kernel writes them as they are read.
        for function in ("io.BufferedReader.read", "os.listdir"):
            blockbuster.functions[function].can_block_in("prometheus_client/process_collector.py", "collect")
        yield


async def every_route(service: Service) -> dict[tuple[str, str], int]:
    """Sends one request to each route. Returns the status for each method and rule."""
    api = service.api
    created = await api.post("/things", json={"name": "Launch"})
    path = created.headers["location"]
    thing = "/things/<uuid:thing_id>"
    statuses = {
        ("POST", "/things"): created.status_code,
        ("GET", "/things"): (await api.get("/things?limit=5")).status_code,
        ("GET", thing): (await api.get(path)).status_code,
        ("PUT", thing): (await api.put(path, json={"name": "Changed"}, headers={"if-match": '"1"'})).status_code,
        ("POST", "/things/import"): (
            await api.post("/things/import", content=json.dumps({"name": "imported"}), headers=NDJSON)
        ).status_code,
        ("GET", "/things/export"): (await api.get("/things/export")).status_code,
        ("DELETE", thing): (await api.delete(path)).status_code,
        ("GET", "/openapi.json"): (await api.get("/openapi.json")).status_code,
    }
    async with service.subscribe() as subscriber:
        await subscriber.block()
        statuses["GET", "/things/events"] = subscriber.response.status_code
    return statuses


def routes(app: Quart) -> set[tuple[str, str]]:
    """Every method and rule, without HEAD and OPTIONS, which follow from GET."""
    rules: Iterable[Rule] = app.url_map.iter_rules()
    return {
        (method, rule.rule) for rule in rules for method in rule.methods or () if method not in {"HEAD", "OPTIONS"}
    }


async def test_no_route_blocks(service: Service) -> None:
    with blocking_is_an_error():  # only now: no request waits for files that are read during the start
        statuses = await every_route(service)
        problem_of(await service.api.get("/nowhere"), 404)
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await service.ops.get(path)).status_code == 200

    assert statuses.keys() == routes(service.application.quart), "a new route needs its request above"
    assert {route: status for route, status in statuses.items() if status >= 300} == {}


async def test_a_route_that_blocks_is_detected(start_service: StartService, caplog: pytest.LogCaptureFixture) -> None:
    service = await start_service(prepare=blocks)

    with blocking_is_an_error():
        for path in ("/sleeps", "/reads"):
            problem_of(await service.api.get(path), 500)

    found = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [type(error) for error in found] == [BlockingError, BlockingError]


def blocks(app: Quart) -> None:
    """Adds routes that block."""

    @app.get("/sleeps")
    async def sleeps() -> str:
        time.sleep(0)  # noqa: ASYNC251
        return "slept"

    @app.get("/reads")
    async def reads() -> str:
        return Path(__file__).read_text()  # noqa: ASYNC240
