"""The spans of a traced service: one for each request, and in it one for each statement and each wait.

The packages opentelemetry-instrumentation-* name a request by its path and a statement by its first word. These spans
are named by the route and by the name of the Statement.
"""

import asyncio
import time
from functools import partial
from threading import Thread
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope, Scope
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, get_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id

from service.settings import Settings
from service.telemetry import logs
from service.telemetry.metrics import Exemplar
from service.tracing.hooks import EndSpan, Tracing
from service.tracing.span_lines import IS_POLL, SpanLines
from service.web.endpoint import Kind
from service.web.middleware import METHODS, POLL
from service.web.routing import match_of

_CLOSE_TIMEOUT = 2.0  # s
_MINIMUM_WAIT = 0.001  # s; a free connection takes less, and a span for that would be clutter
_REQUEST_ID = "guid:x-request-id"  # the attribute that Envoy's own spans have: one search finds both


def tracing(settings: Settings, exporters: frozenset[str]) -> Tracing:
    """Tracing that sends spans to `exporters`, which are `otlp`, `console` or both.

    OpenTelemetry reads the rest from its environment variables: endpoint, sampler, propagators.
    """
    resource = Resource.create(
        {
            "service.name": settings.name,
            "service.version": settings.version,
            "service.instance.id": settings.instance,
            "deployment.environment.name": settings.environment,
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in sorted(exporters):
        provider.add_span_processor(SpanLines() if exporter == "console" else BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("service")

    async def close() -> None:
        # A collector that does not answer must not delay the exit: the daemon thread is then abandoned.
        shutdown = Thread(target=provider.shutdown, name="last spans", daemon=True)
        shutdown.start()
        await asyncio.to_thread(shutdown.join, _CLOSE_TIMEOUT)

    return Tracing(
        around=partial(_TracedRequests, tracer),
        start_statement=partial(_start_statement, tracer),
        waited=partial(_record_wait, tracer),
        exemplar=_exemplar,
        close=close,
    )


class _TracedRequests:
    """ASGI middleware, outside all other layers: continues the trace of the ingress or starts a new one."""

    def __init__(self, tracer: Tracer, app: Any) -> None:
        self._tracer = tracer
        self._app = app
        self._context_headers = frozenset(name.encode() for name in get_global_textmap().fields)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in self._context_headers
        }
        span = self._tracer.start_span(_method(scope), context=extract(carrier), kind=SpanKind.SERVER)
        logs.trace_id.set(format_trace_id(span.get_span_context().trace_id))
        # A span that is not sampled becomes current too: that is how the statements see that they are not recorded.
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            if span.is_recording():
                await self._record(span, scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _record(
        self, span: Span, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        headers = dict(scope["headers"])
        span.set_attributes(
            {
                "http.request.method": scope["method"],
                "url.path": scope["raw_path"].decode("latin-1"),
                "user_agent.original": headers.get(b"user-agent", b"").decode("latin-1"),
            }
        )
        if POLL in headers:
            span.set_attribute(IS_POLL, True)

        async def observe(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", event["status"])
                if event["status"] >= 500:
                    span.set_status(StatusCode.ERROR)
                if match_of(scope).kind is Kind.EVENTS:
                    # The time that a client stays subscribed is not latency, so the span ends here.
                    _end_request(span, scope)
            await send(event)

        try:
            await self._app(scope, receive, observe)
        finally:
            _end_request(span, scope)


def _method(scope: HTTPScope) -> str:
    """The method for a span's name. Unknown ones become HTTP, so that clients cannot create unbounded span names."""
    return scope["method"] if scope["method"] in METHODS else "HTTP"


def _end_request(span: Span, scope: HTTPScope) -> None:
    """End a request's span, with the attributes that are known only now. Does nothing if it has ended already."""
    if not span.is_recording():
        return
    if route := match_of(scope).route:
        span.update_name(f"{_method(scope)} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute(_REQUEST_ID, logs.request_id.get() or "")
    span.end()


def _start_statement(tracer: Tracer, name: str, sql: str) -> EndSpan | None:
    if not trace.get_current_span().is_recording():
        return None
    attributes = {"db.system.name": "postgresql", "db.query.text": sql}
    return partial(_end_statement, tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes))


def _end_statement(span: Span, error: BaseException | None) -> None:
    if isinstance(error, Exception):  # not a cancellation
        # Only the name of the error's class: its message may quote what a client sent.
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
    span.end()


def _record_wait(tracer: Tracer, seconds: float) -> None:
    if seconds >= _MINIMUM_WAIT and trace.get_current_span().is_recording():
        now = time.time_ns()
        tracer.start_span("wait for a connection", start_time=now - round(seconds * 1e9)).end(now)


def _exemplar() -> Exemplar | None:
    context = trace.get_current_span().get_span_context()
    return {"trace_id": format_trace_id(context.trace_id)} if context.trace_flags.sampled else None
