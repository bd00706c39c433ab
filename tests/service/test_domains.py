"""What holds for each route of each registered domain, without a list of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from service.domain import Domain
from service.web.endpoint import Kind
from tests.service.problems import errors_of, problem_of
from tests.service.routes import ALL_DOMAINS, Route, declared, routes_of
from tests.service.serving import Service
from tests.service.test_event_loop import blocking_is_an_error

ROUTES = declared()
ENDPOINTS = [route for route in ROUTES if route.endpoint is not None]
WITH_BODY = [route for route in ENDPOINTS if route.endpoint and (route.endpoint.content or route.endpoint.upload)]
METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")
"""In this order an example is made before it is read, changed and deleted."""


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return ALL_DOMAINS


@pytest.mark.parametrize("route", ENDPOINTS, ids=str)
async def test_an_unknown_parameter_is_refused(shared_service: Service, route: Route) -> None:
    response = await shared_service.api.request(route.method, f"{route.path()}?colour=red")

    assert errors_of(response) == {"colour": "is unknown"}


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
async def test_another_media_type_is_refused(shared_service: Service, route: Route) -> None:
    headers = {"content-type": "text/plain"}

    response = await shared_service.api.request(route.method, route.path(), content=b"{}", headers=headers)

    problem_of(response, 415)


@pytest.mark.parametrize("template", sorted({route.template for route in ROUTES}))
async def test_the_answer_to_an_unknown_method_lists_the_allowed_ones(shared_service: Service, template: str) -> None:
    routes = [route for route in ROUTES if route.template == template]
    methods = {route.method for route in routes}

    response = await shared_service.api.request("PROPFIND", routes[0].path())

    problem_of(response, 405)
    allowed = set(response.headers["allow"].split(", "))
    assert allowed == methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


async def test_no_route_blocks_the_event_loop(shared_service: Service) -> None:
    with blocking_is_an_error():
        statuses = await request_every_route(shared_service)

    assert [(str(route), status) for route, status in statuses if status >= 500] == []
    refused = [(str(route), status) for route, status in statuses if route.endpoint and status >= 300]
    assert refused == [], "with an example in each required field of its model, the request is valid"


async def request_every_route(service: Service) -> list[tuple[Route, int]]:
    """Sends one request to each route, made from the examples of its models; the status of each answer."""
    quart = service.application.quart
    router = quart.url_map.bind("")
    existing: dict[str, Mapping[str, Any]] = {}
    statuses = []
    for route in sorted(routes_of(quart), key=lambda route: METHODS.index(route.method)):
        content, headers = body_of(route)
        # Of a resource within another one, the outer one exists too: its template is how this one begins.
        known = [parameters for template, parameters in existing.items() if route.template.startswith(template)]
        path = route.path({name: value for parameters in known for name, value in parameters.items()})
        async with service.api.stream(route.method, path, content=content, headers=headers) as response:
            if route.endpoint is not None and route.endpoint.kind is Kind.EVENTS:
                await anext(response.aiter_bytes())
            else:
                await response.aread()
        statuses.append((route, response.status_code))
        if "location" in response.headers:
            rule, parameters = router.match(response.headers["location"], "GET", return_rule=True)
            existing[rule.rule] = parameters
    return statuses


def body_of(route: Route) -> tuple[bytes, dict[str, str]]:
    """A valid body of the route and its headers. An upload is empty."""
    if route.endpoint is not None and route.endpoint.content is not None:
        return json.dumps(example(route.endpoint.content)).encode(), {"content-type": "application/json"}
    if route.endpoint is not None and route.endpoint.upload is not None:
        return b"", {"content-type": route.endpoint.upload.type}
    return b"", {}


def example(model: type[BaseModel]) -> dict[str, object]:
    """The required fields, each with its first example."""
    fields = model.model_fields.items()
    return {name: field.examples[0] for name, field in fields if field.is_required() and field.examples}
