"""The spans of a traced service: one for each request, named by its route, and in it one for each statement and wait.

Not the packages opentelemetry-instrumentation-*: they name a request by its path and a statement by its first word.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, HTTPScope, Scope
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, get_global_textmap
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id

from service.database.pool import Connection, Database, Statement
from service.settings import Settings
from service.telemetry import logs
from service.telemetry.metrics import Exemplar, Metrics
from service.tracing.hooks import Tracing
from service.tracing.span_lines import POLLS, SpanLines
from service.web.endpoint import Kind
from service.web.middleware import METHODS, POLL
from service.web.routing import match_of

_CLOSE_WITHIN = 2.0
_WAITED = 1_000_000  # ns; a connection that is free takes less, and its span would only be in the way
_REQUEST_ID = "guid:x-request-id"  # Envoy's name for it in its own spans: one search finds both


def tracing(settings: Settings, exporters: frozenset[str]) -> Tracing:
    """Traces to these exporters. OpenTelemetry reads the rest from its variables: endpoint, sampler, propagators."""
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
        # A collector that does not answer must not hold up the exit: then the thread is left behind.
        sending = Thread(target=provider.shutdown, name="last spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, _CLOSE_WITHIN)

    return Tracing(partial(_TracedRequests, tracer), partial(_TracedDatabase, tracer), _exemplar, close)


def _exemplar() -> Exemplar | None:
    context = trace.get_current_span().get_span_context()
    return {"trace_id": format_trace_id(context.trace_id)} if context.trace_flags.sampled else None


class _TracedRequests:
    """Pure ASGI, around everything else: continues the trace of the ingress, or begins one."""

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
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            if span.is_recording():
                await self._record(span, scope, receive, send)
            else:  # its statements have to see that it is not
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
            span.set_attribute(POLLS, True)

        async def observe(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", event["status"])
                if event["status"] >= 500:
                    span.set_status(StatusCode.ERROR)
                if match_of(scope).kind is Kind.EVENTS:  # how long somebody listens is not a latency
                    _end(span, scope)
            await send(event)

        try:
            await self._app(scope, receive, observe)
        finally:
            _end(span, scope)


def _method(scope: HTTPScope) -> str:
    """For a name: one that clients make up is none, or they would fill the list of names."""
    return scope["method"] if scope["method"] in METHODS else "HTTP"


def _end(span: Span, scope: Any) -> None:
    """With what is known only now. A second end changes nothing."""
    if not span.is_recording():
        return
    if route := match_of(scope).route:
        span.update_name(f"{_method(scope)} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute(_REQUEST_ID, logs.request_id.get() or "")
    span.end()


class _TracedDatabase(Database):
    def __init__(self, tracer: Tracer, settings: Settings, metrics: Metrics) -> None:
        super().__init__(settings, metrics)
        self._tracer = tracer

    async def acquire(self, pool: "asyncpg.Pool[asyncpg.Record]") -> "PoolConnectionProxy[asyncpg.Record]":
        started = time.time_ns()
        try:
            return await super().acquire(pool)
        finally:
            if (now := time.time_ns()) - started > _WAITED and trace.get_current_span().is_recording():
                self._tracer.start_span("wait for a connection", start_time=started).end(now)

    def lend(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> Connection:
        return _TracedConnection(self._tracer, connection, self._metrics)


class _TracedConnection(Connection):
    def __init__(self, tracer: Tracer, connection: "PoolConnectionProxy[asyncpg.Record]", metrics: Metrics) -> None:
        super().__init__(connection, metrics)
        self._tracer = tracer

    async def fetch(self, statement: Statement, *args: object) -> list[asyncpg.Record]:
        with self._span(statement):
            return await super().fetch(statement, *args)

    async def fetchrow(self, statement: Statement, *args: object) -> asyncpg.Record | None:
        with self._span(statement):
            return await super().fetchrow(statement, *args)

    async def copy(
        self, statement: Statement, table: str, columns: Sequence[str], records: AsyncIterable[tuple[Any, ...]]
    ) -> None:
        with self._span(statement):
            await super().copy(statement, table, columns, records)

    async def batches(self, statement: Statement, *args: object, size: int) -> AsyncGenerator[list[asyncpg.Record]]:
        with self._span(statement):  # from the first batch to the last: it includes the time of the reader
            async for rows in super().batches(statement, *args, size=size):
                yield rows

    @contextmanager
    def _span(self, statement: Statement) -> Generator[None]:
        if not trace.get_current_span().is_recording():
            yield
            return
        # The name of an error's class, not its message, which may hold what a client has sent.
        span = self._tracer.start_span(
            statement.name,
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.text": statement.sql},
        )
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()
