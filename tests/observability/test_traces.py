"""The trace of a request: from its client through Envoy and the service to the statement, and in logs and errors."""

import asyncio
import secrets

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.observability.collector import Received
from tests.observability.conftest import WITHIN, Observed
from tests.observability.traffic import create, import_lines
from tests.probe import things
from tests.probe.collection import THINGS
from workbench.project import NAME

COLLECTION = THINGS.path
ITEM = f"{COLLECTION}/<uuid:thing_id>"  # as the route is called
IMPORT = f"{COLLECTION}/import"
EXPORT = f"{COLLECTION}/export"
EVENTS = f"{COLLECTION}/events"

DUPLICATE = '{"name": "twice", "id": "0190b6a4-0000-7000-8000-000000000001"}'
"""A line of an import. If it is there twice, the import violates a unique constraint."""


def names(spans: list[Received]) -> list[str]:
    return [span.name for span in spans]


class Traced:
    """A client's own span, as the parent of a request."""

    def __init__(self, *, sampled: bool = True) -> None:
        self.trace_id, self.span_id = secrets.token_hex(16), secrets.token_hex(8)
        self.headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-0{int(sampled)}"}

    async def spans(self, observed: Observed, last: str) -> list[Received]:
        """All spans of the trace, once the span `last` has arrived: the span of the request ends after the others."""
        return await observed.collector.until(self.trace_id, lambda spans: last in names(spans))


async def test_a_request_through_envoy_continues_the_trace_of_its_client(observed: Observed) -> None:
    traced = Traced()

    answer = await create(observed.client, THINGS, "Traced", traced.headers)

    request, *_, statement = await traced.spans(observed, f"POST {COLLECTION}")
    assert (request.name, statement.name) == (f"POST {COLLECTION}", things.CREATE.name)
    assert (request.parent_id, statement.parent_id) == (traced.span_id, request.span_id)
    assert (request.span.kind, statement.span.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert request.attributes | {"url.path": COLLECTION} == {
        "http.request.method": "POST",
        "http.route": COLLECTION,
        "http.response.status_code": 201,
        "url.path": COLLECTION,
        "user_agent.original": "tests",
        "guid:x-request-id": answer.headers["x-request-id"],
    }
    assert "INSERT INTO things" in str(statement.attributes["db.query.text"])
    assert not request.failed
    assert not statement.failed
    assert request.resource["service.name"] == NAME
    assert request.resource["service.instance.id"] == answer.headers["x-service-instance"]
    assert request.resource["service.version"] == answer.headers["x-service-version"]
    begin, end = request.span.start_time_unix_nano, request.span.end_time_unix_nano
    assert begin <= statement.span.start_time_unix_nano < statement.span.end_time_unix_nano <= end

    line = await observed.access_line(traced.trace_id)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["http"]["route"] == COLLECTION


async def test_a_span_is_named_after_the_route_and_not_after_the_path(observed: Observed) -> None:
    traced = Traced()
    path = (await create(observed.client, THINGS, "Named")).headers["location"]

    await observed.client.get(path, headers=traced.headers)

    request, *_, statement = await traced.spans(observed, f"GET {ITEM}")
    assert (request.attributes["url.path"], statement.name) == (path, things.GET.name)


async def test_a_request_without_a_trace_starts_one(observed: Observed) -> None:
    answer = await observed.client.get(COLLECTION, params={"limit": 1})

    name = f"GET {COLLECTION}"
    line = await observed.access_line(answer.headers["x-request-id"])
    request, *_ = await observed.collector.until(line["trace_id"], lambda spans: name in names(spans))
    assert (request.name, request.parent_id) == (name, "")


async def test_an_error_names_its_trace_and_the_statement_that_failed(observed: Observed) -> None:
    traced = Traced()

    answer = await import_lines(observed.client, THINGS, DUPLICATE, DUPLICATE, headers=traced.headers)

    problem = answer.json()
    assert (problem["status"], problem["trace_id"]) == (409, traced.trace_id)
    request, *_, statement = await traced.spans(observed, f"POST {IMPORT}")
    assert (statement.name, statement.failed) == (things.IMPORT.statement.name, True)
    assert statement.attributes["error.type"] == "UniqueViolationError"
    assert not request.failed, "the client caused the error, not the service"
    assert "twice" not in str(request.span) + str(statement.span), "a span must not contain anything of a body"


async def test_an_error_of_the_service_itself_names_its_trace(observed: Observed) -> None:
    traced = Traced()

    problem = (await observed.client.get("/nowhere", headers=traced.headers)).json()

    assert problem["trace_id"] == traced.trace_id
    [request] = await traced.spans(observed, "GET")
    assert request.attributes["http.response.status_code"] == 404


async def test_a_client_cannot_invent_names_of_spans(observed: Observed) -> None:
    traced = Traced()

    api = f"http://localhost:{observed.stack.replicas[0].api_port}"  # Envoy would refuse the method
    await observed.client.request("BREW", f"{api}{COLLECTION}", headers=traced.headers)

    [request] = await observed.collector.until(traced.trace_id, bool)
    assert request.name == "HTTP"
    assert request.attributes["http.request.method"] == "BREW"


async def test_a_request_that_is_not_sampled_has_a_trace_id_in_the_log_but_no_spans(observed: Observed) -> None:
    quiet, sampled = Traced(sampled=False), Traced()

    await observed.client.get(COLLECTION, headers=quiet.headers)
    await observed.client.get(COLLECTION, headers=sampled.headers)

    await sampled.spans(observed, f"GET {COLLECTION}")
    assert not [span for span in observed.collector.spans if span.trace_id == quiet.trace_id]
    assert (await observed.access_line(quiet.trace_id))["http"]["status"] == 200


async def test_the_span_of_a_stream_ends_when_its_response_starts(observed: Observed) -> None:
    traced = Traced()

    async with observed.client.stream("GET", EVENTS, headers=traced.headers) as stream:
        assert stream.status_code == 200
        request, *_ = await traced.spans(observed, f"GET {EVENTS}")

    assert request.attributes["http.response.status_code"] == 200


async def test_an_export_has_one_statement_span(observed: Observed) -> None:
    traced = Traced()

    await observed.client.get(EXPORT, headers=traced.headers)

    request, *_, statement = await traced.spans(observed, f"GET {EXPORT}")
    assert (statement.name, statement.parent_id) == (things.EXPORT.name, request.span_id)


async def test_metrics_lead_to_traces(observed: Observed) -> None:
    """Through exemplars in OpenMetrics, the format that Prometheus asks for."""
    traced = Traced()
    await observed.client.get(COLLECTION, headers=traced.headers)

    async with asyncio.timeout(WITHIN):  # the duration is recorded after the response
        while not await has_exemplar(observed, traced.trace_id):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


async def has_exemplar(observed: Observed, trace_id: str) -> bool:
    accept = {"accept": "application/openmetrics-text;version=1.0.0"}
    lines = (await observed.ops.get("/metrics", headers=accept)).text.splitlines()
    durations = [line for line in lines if line.startswith("http_request_duration_seconds_bucket")]
    return any(f'# {{trace_id="{trace_id}"}}' in line for line in durations)
