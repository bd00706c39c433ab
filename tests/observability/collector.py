"""A receiver of OTLP over HTTP in the process of the tests, in place of Jaeger."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.observability.connections import listening
from tests.waiting import WITHIN


@dataclass(frozen=True)
class Received:
    """A span, with the attributes of the service that sent it."""

    span: Span
    resource: dict[str, str]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_id(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def failed(self) -> bool:
        return self.span.status.code == self.span.status.STATUS_CODE_ERROR

    @property
    def attributes(self) -> dict[str, str | int]:
        return {
            item.key: item.value.int_value if item.value.HasField("int_value") else item.value.string_value
            for item in self.span.attributes
        }


@dataclass
class Collector:
    port: int = 0
    spans: list[Received] = field(default_factory=list)
    _received: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(self, trace_id: str, enough: Callable[[list[Received]], bool]) -> list[Received]:
        """Waits until the spans of a trace are `enough`, and returns them in the order in which they started."""

        def found() -> list[Received]:
            spans = [received for received in self.spans if received.trace_id == trace_id]
            return sorted(spans, key=lambda received: received.span.start_time_unix_nano)

        try:
            async with asyncio.timeout(WITHIN), self._received:
                await self._received.wait_for(lambda: enough(found()))
        except TimeoutError:
            pytest.fail(f"not all spans of {trace_id} within {WITHIN:g} s: {[span.name for span in found()]}")
        return found()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Collector"]:
        async with listening(self._serve) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                assert head.startswith("post /v1/traces "), head
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                await self._take(ExportTraceServiceRequest.FromString(await reader.readexactly(length)))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    async def _take(self, request: ExportTraceServiceRequest) -> None:
        async with self._received:
            for group in request.resource_spans:
                resource = {item.key: item.value.string_value for item in group.resource.attributes}
                self.spans += [Received(span, resource) for scope in group.scope_spans for span in scope.spans]
            self._received.notify_all()
