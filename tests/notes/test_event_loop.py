"""Each route of notes and pages, with all that a request can ask of it, does not block the event loop."""

import json

from tests.service.routes import routes_of
from tests.service.serving import Service
from tests.service.test_event_loop import blocking_is_an_error

NDJSON = {"content-type": "application/x-ndjson"}


async def test_no_route_blocks(service: Service) -> None:
    with blocking_is_an_error():
        statuses = await every_route(service)

    routes = {(route.method, route.template) for route in routes_of(service.application.quart)}
    assert statuses.keys() == routes, "a new route needs its request below"
    assert {route: status for route, status in statuses.items() if status >= 300} == {}


async def every_route(service: Service) -> dict[tuple[str, str], int]:
    """Sends a request to each route; the status of each method and path template."""
    api = service.api
    created = await api.post("/notes", json={"title": "Launch"}, headers={"idempotency-key": "once"})
    path = created.headers["location"]
    note = "/notes/<uuid:note_id>"
    statuses = {
        ("POST", "/notes"): created.status_code,
        ("GET", "/notes"): (await api.get("/notes?q=launch")).status_code,
        ("GET", note): (await api.get(path)).status_code,
        ("PUT", note): (await api.put(path, json={"title": "Changed"}, headers={"if-match": '"1"'})).status_code,
        ("POST", "/notes/import"): (
            await api.post("/notes/import", content=json.dumps({"title": "imported"}), headers=NDJSON)
        ).status_code,
        ("GET", "/notes/export"): (await api.get("/notes/export")).status_code,
        ("DELETE", note): (await api.delete(path)).status_code,
        ("GET", "/"): (await api.get("/")).status_code,
        ("GET", "/docs"): (await api.get("/docs")).status_code,
        ("GET", "/openapi.json"): (await api.get("/openapi.json")).status_code,
        ("GET", "/static/<name>"): (await api.get("/static/swagger-ui-bundle.js")).status_code,
        ("GET", "/static/<part>/<name>"): (await api.get("/static/notes/page.js")).status_code,
    }
    async with service.subscribe("/notes/events") as subscriber:
        await subscriber.block()
        statuses["GET", "/notes/events"] = subscriber.response.status_code
    # The same routes answer browsers and have other files.
    assert (await api.get("/", headers={"accept": "text/html"})).headers["content-type"].startswith("text/html")
    assert (await api.get("/static/style.css")).status_code == 200
    return statuses
