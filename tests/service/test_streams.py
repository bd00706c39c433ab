"""The service does not start with a stream that the ingress would not know, or with a route that it takes for one."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from quart import Blueprint

from service.app import create_app
from service.domain import Built, Domain, Machinery
from service.settings import load
from service.web.endpoint import Kind, Media, endpoint
from service.web.streams import StreamPathError


def domain(path: str, methods: Sequence[str], decorate: Callable[[Any], Any]) -> Domain:
    """A domain with one route."""

    def build(machinery: Machinery) -> Built:
        routes = Blueprint("ships", __name__, url_prefix="/ships")

        async def view() -> None: ...

        routes.route(path, methods=methods)(decorate(view))
        return Built(routes)

    return Domain(build)


def stream(kind: Kind) -> Callable[[Any], Any]:
    return endpoint(kind=kind, stream=Media("text/event-stream", "Changes"))


@pytest.mark.parametrize(
    ("method", "path", "kind", "words"),
    [
        ("GET", "/watch", Kind.EVENTS, ["GET /ships/watch", "Kind.EVENTS", "make it GET .../events"]),
        ("GET", "/events/all", Kind.EVENTS, ["GET /ships/events/all", "make it GET .../events"]),
        ("POST", "/events", Kind.EVENTS, ["POST /ships/events", "make it GET .../events"]),
        ("GET", "/dump", Kind.BULK, ["GET /ships/dump", "make it GET .../export or POST .../import"]),
        ("PUT", "/import", Kind.BULK, ["PUT /ships/import", "make it GET .../export or POST .../import"]),
        (
            "GET",
            "/events",
            Kind.BULK,
            ["GET /ships/events", "make it GET .../export or POST .../import"],
        ),
        ("GET", "/<uuid:ship>/events", Kind.REQUEST, ["GET /ships/<uuid:ship>/events is no stream", "another path"]),
        ("DELETE", "/export", Kind.REQUEST, ["DELETE /ships/export is no stream", "another path"]),
    ],
)
def test_a_path_that_does_not_suit_the_kind_is_refused(method: str, path: str, kind: Kind, words: list[str]) -> None:
    wrong = domain(path, [method], endpoint() if kind is Kind.REQUEST else stream(kind))

    with pytest.raises(StreamPathError) as refused:
        create_app(load({}), domains=[wrong])

    for word in words:
        assert word in str(refused.value)


def test_a_page_with_the_path_of_a_stream_is_refused() -> None:
    with pytest.raises(StreamPathError, match=re.escape("GET /ships/import is no stream")):
        create_app(load({}), domains=[domain("/import", ["GET"], lambda view: view)])


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/events", Kind.EVENTS),
        ("GET", "/<uuid:ship>/berths/events", Kind.EVENTS),
        ("GET", "/export", Kind.BULK),
        ("POST", "/import", Kind.BULK),
        ("GET", "/events/latest", Kind.REQUEST),
        ("GET", "/exports", Kind.REQUEST),
        ("GET", "/<name>", Kind.REQUEST),
    ],
)
def test_a_path_that_suits_the_kind_is_accepted(method: str, path: str, kind: Kind) -> None:
    create_app(load({}), domains=[domain(path, [method], endpoint() if kind is Kind.REQUEST else stream(kind))])
