"""The metrics, and the ops port that serves them."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.serving import Service


async def test_requests_are_counted_by_method_route_and_status(service: Service) -> None:
    path = await service.create()
    for _ in range(3):
        await service.api.get(path)
    await service.api.get(f"/things/{uuid4()}")
    await service.api.delete(path)

    async def until(count: int, method: str, route: str, status: int) -> None:
        await service.until_metric(count, "http_requests_total", method=method, route=route, status=str(status))

    thing = "/things/<uuid:thing_id>"
    await until(1, "POST", "/things", 201)
    await until(3, "GET", thing, 200)
    await until(1, "GET", thing, 404)
    await until(1, "DELETE", thing, 204)
    assert await service.metric("http_request_duration_seconds_count", method="GET", route=thing) == 4
    # The latency objective is 250 ms, so it must be the edge of a bucket.
    assert await service.metric("http_request_duration_seconds_bucket", method="GET", route=thing, le="0.25") <= 4
    assert "0.25" in {labels.get("le") for name, labels, _ in await service.metrics() if name.endswith("_bucket")}


async def test_the_duration_of_an_event_stream_is_not_measured(service: Service) -> None:
    async with service.subscribe() as subscriber:
        await subscriber.block()
        assert await service.metric("http_requests_in_flight", kind="events") == 1
    await service.until_metric(1, "http_requests_total", route="/things/events", status="200")

    assert await service.metric("http_requests_in_flight", kind="events") == 0
    assert await service.metric("http_request_duration_seconds_count", route="/things/events") == 0


async def test_the_pool_and_the_statements_have_metrics(start_service: StartService, database: Database) -> None:
    service = await start_service(pool_size=3)
    path = await service.create()
    await service.api.get(path)

    assert await service.metric("db_pool_limit") == 3
    assert await service.metric("db_pool_size") == await service.metric("db_pool_idle") == 1
    assert await service.metric("db_query_duration_seconds_count", statement="thing_create") == 1
    assert await service.metric("db_query_duration_seconds_count", statement="thing_get") == 1
    assert await service.metric("db_pool_acquire_duration_seconds_count") == 2

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)
        assert await service.metric("db_pool_idle") == 0
        assert await service.metric("http_requests_in_flight", kind="request") == 1
    await change


async def test_a_statement_that_is_read_in_batches_is_measured_without_its_reader(service: Service) -> None:
    await service.create()

    await service.api.get("/things/export")

    # The batch with the thing, and the empty one after it. One measurement of both would include the client's time.
    await service.until_metric(2, "db_query_duration_seconds_count", statement="thing_export")


# Methods of WebDAV: every server accepts them, no route has them.
UNUSUAL = ("PROPFIND", "PROPPATCH", "MKCOL", "LOCK", "UNLOCK")


async def test_a_client_cannot_add_values_of_labels(service: Service) -> None:
    async def series() -> int:
        return len([name for name, _, _ in await service.metrics() if name.startswith("http_")])

    await service.api.get("/nowhere")
    await service.api.request("PROPFIND", "/nowhere")
    await service.api.request("PROPFIND", "/things")
    await service.until_metric(1, "http_requests_total", method="other", status="405")
    before = await series()

    for number in range(100):
        await service.api.get(f"/{uuid4()}", headers={"x-request-id": str(uuid4())})
        await service.api.request(UNUSUAL[number % len(UNUSUAL)], f"/{uuid4()}", params={"n": number})

    for method in ("GET", "other"):
        await service.until_metric(101, "http_requests_total", method=method, route="unmatched", status="404")
    assert await series() == before


async def test_the_lifecycle_and_the_build_have_metrics(start_service: StartService) -> None:
    service = await start_service(version="1.2.3", environment="test")

    assert await service.metric("service_build_info", version="1.2.3", environment="test") == 1
    states = {labels["state"]: value for name, labels, value in await service.metrics() if name.endswith("_state")}
    assert states == {"starting": 0, "ready": 1, "unready": 0, "draining": 0}
    assert await service.metric("service_check_ok", check="database") == 1
    assert await service.metric("service_check_ok", check="schema") == 1
    assert await service.metric("process_cpu_seconds_total") > 0

    service.application.lifecycle.drain()
    assert await service.metric("service_lifecycle_state", state="draining") == 1


async def test_openmetrics_if_the_client_accepts_it(shared_service: Service) -> None:
    await shared_service.api.get("/things")

    response = await shared_service.ops.get(
        "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"}
    )

    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name for family in openmetrics_families(response.text)}  # type: ignore[no-untyped-call]
    assert {"http_requests", "http_request_duration_seconds", "db_pool_size"} <= families

    plain = await shared_service.ops.get("/metrics", headers={"accept": "*/*"})
    assert plain.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
async def test_the_metrics_file_of_a_supervisor_is_added(
    start_service: StartService, tmp_path: Path, accept: str
) -> None:
    file = tmp_path / "more.prom"
    service = await start_service(metrics_file=str(file))

    async def scrape() -> str:
        return (await service.ops.get("/metrics", headers={"accept": accept})).text

    assert "reloads" not in await scrape(), "a missing file is not an error"

    file.write_text("# TYPE reloads gauge\nreloads 3.0\n")
    scraped = await scrape()
    assert "\nreloads 3.0\n" in scraped
    assert ("# EOF" in scraped) == scraped.endswith("# EOF\n") == ("openmetrics" in accept)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_the_ops_port_answers_get_and_head_only(shared_service: Service, path: str) -> None:
    assert (await shared_service.ops.get(path)).status_code == 200
    head = await shared_service.ops.head(path)
    assert (head.status_code, head.content) == (200, b"")

    post = await shared_service.ops.post(path)
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")


async def test_each_port_serves_only_its_own_paths(shared_service: Service) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await shared_service.api.get(path)).status_code == 404
    assert (await shared_service.ops.get("/things")).status_code == 404
