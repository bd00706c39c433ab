"""A request's trace: from its client through Envoy and the service to the statement, in logs and errors too."""

import asyncio
import secrets

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.observability.collector import Received
from tests.observability.conftest import WITHIN, Observed


def names(spans: list[Received]) -> list[str]:
    return [span.name for span in spans]


class Traced:
    """A client's own span, as the parent of a request."""

    def __init__(self, *, sampled: bool = True) -> None:
        self.trace_id, self.span_id = secrets.token_hex(16), secrets.token_hex(8)
        self.headers = {"traceparent": f"00-{self.trace_id}-{self.span_id}-0{int(sampled)}"}

    async def spans(self, observed: Observed, last: str) -> list[Received]:
        """All of its spans, once the span `last` is among them: the request's own ends last."""
        return await observed.collector.until(self.trace_id, lambda spans: last in names(spans))


async def test_a_request_through_envoy_continues_the_trace_of_its_client(observed: Observed) -> None:
    traced = Traced()

    answer = await observed.client.post("/notes", json={"title": "Traced"}, headers=traced.headers)

    request, *_, statement = await traced.spans(observed, "POST /notes")
    assert (request.name, statement.name) == ("POST /notes", "note_create")
    assert (request.parent_id, statement.parent_id) == (traced.span_id, request.span_id)
    assert (request.span.kind, statement.span.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert request.attributes | {"url.path": "/notes"} == {
        "http.request.method": "POST",
        "http.route": "/notes",
        "http.response.status_code": 201,
        "url.path": "/notes",
        "user_agent.original": "slipway-tests",
        "guid:x-request-id": answer.headers["x-request-id"],
    }
    assert "INSERT INTO notes" in str(statement.attributes["db.query.text"])
    assert not request.failed
    assert not statement.failed
    assert request.resource["service.name"] == "slipway"
    assert request.resource["service.instance.id"] == answer.headers["x-service-instance"]
    assert request.resource["service.version"] == answer.headers["x-service-version"]
    begin, end = request.span.start_time_unix_nano, request.span.end_time_unix_nano
    assert begin <= statement.span.start_time_unix_nano < statement.span.end_time_unix_nano <= end

    line = await observed.access_line(traced.trace_id)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["http"]["route"] == "/notes"


async def test_a_span_is_named_by_the_template_of_the_route(observed: Observed) -> None:
    traced = Traced()
    path = (await observed.client.post("/notes", json={"title": "Named"})).headers["location"]

    await observed.client.get(path, headers=traced.headers)

    request, *_, statement = await traced.spans(observed, "GET /notes/<uuid:note_id>")
    assert (request.attributes["url.path"], statement.name) == (path, "note_get")


async def test_a_request_without_a_trace_begins_one(observed: Observed) -> None:
    answer = await observed.client.get("/notes", params={"limit": 1})

    line = await observed.access_line(answer.headers["x-request-id"])
    request, *_ = await observed.collector.until(line["trace_id"], lambda spans: "GET /notes" in names(spans))
    assert (request.name, request.parent_id) == ("GET /notes", "")


async def test_an_error_names_its_trace_and_the_statement_that_failed(observed: Observed) -> None:
    traced = Traced()
    line = '{"title": "twice", "id": "0190b6a4-0000-7000-8000-000000000001", "created_at": "2026-01-01T00:00:00Z"}\n'
    headers = traced.headers | {"content-type": "application/x-ndjson"}

    problem = (await observed.client.post("/notes/import", content=2 * line, headers=headers)).json()

    assert (problem["status"], problem["trace_id"]) == (409, traced.trace_id)
    request, *_, statement = await traced.spans(observed, "POST /notes/import")
    assert (statement.name, statement.failed) == ("note_import", True)
    assert statement.attributes["error.type"] == "UniqueViolationError"
    assert not request.failed, "the client's error, not the service's"
    assert "twice" not in str(request.span) + str(statement.span), "nothing of a body is in a span"


async def test_what_the_service_refuses_itself_names_its_trace(observed: Observed) -> None:
    traced = Traced()

    problem = (await observed.client.get("/nowhere", headers=traced.headers)).json()

    assert problem["trace_id"] == traced.trace_id
    [request] = await traced.spans(observed, "GET")
    assert request.attributes["http.response.status_code"] == 404


async def test_a_client_cannot_make_up_the_names_of_spans(observed: Observed) -> None:
    traced = Traced()

    api = f"http://localhost:{observed.stack.replicas[0].api_port}"  # Envoy would not pass it on
    await observed.client.request("BREW", f"{api}/notes", headers=traced.headers)

    [request] = await observed.collector.until(traced.trace_id, bool)
    assert request.name == "HTTP"
    assert request.attributes["http.request.method"] == "BREW"


async def test_a_client_that_is_not_sampled_has_no_spans_and_its_id_in_the_log(observed: Observed) -> None:
    quiet, sampled = Traced(sampled=False), Traced()

    await observed.client.get("/notes", headers=quiet.headers)
    await observed.client.get("/notes", headers=sampled.headers)

    await sampled.spans(observed, "GET /notes")
    assert not [span for span in observed.collector.spans if span.trace_id == quiet.trace_id]
    assert (await observed.access_line(quiet.trace_id))["http"]["status"] == 200


async def test_the_span_of_a_stream_ends_when_its_answer_begins(observed: Observed) -> None:
    traced = Traced()

    async with observed.client.stream("GET", "/notes/events", headers=traced.headers) as stream:
        assert stream.status_code == 200
        [request] = await traced.spans(observed, "GET /notes/events")

    assert request.attributes["http.response.status_code"] == 200


async def test_an_export_is_one_span_whatever_it_reads(observed: Observed) -> None:
    traced = Traced()

    await observed.client.get("/notes/export", headers=traced.headers)

    request, *_, statement = await traced.spans(observed, "GET /notes/export")
    assert (statement.name, statement.parent_id) == ("note_export", request.span_id)


async def test_metrics_lead_to_traces(observed: Observed) -> None:
    """Exemplars, in OpenMetrics, which is what Prometheus asks for."""
    traced = Traced()
    await observed.client.get("/notes", headers=traced.headers)

    async with asyncio.timeout(WITHIN):  # the duration is known after the answer
        while not await has_exemplar(observed, traced.trace_id):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def has_exemplar(observed: Observed, trace_id: str) -> bool:
    accept = {"accept": "application/openmetrics-text;version=1.0.0"}
    lines = (await observed.ops.get("/metrics", headers=accept)).text.splitlines()
    durations = [line for line in lines if line.startswith("http_request_duration_seconds_bucket")]
    return any(f'# {{trace_id="{trace_id}"}}' in line for line in durations)
