"""Traces for a person: each request's spans as one line among the logs."""

from logging import DEBUG, INFO, getLogger

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, format_trace_id

logger = getLogger("service.trace")

POLLS = "page.polls"
"""The attribute of a request that the page makes all the time: its line would bury the others."""


class SpanLines(SpanProcessor):
    """`trace 5b8aa5a2... GET /notes 200 4.1 ms: note_list 2.9 ms`, when the request has ended."""

    def __init__(self) -> None:
        self._statements: dict[int, list[str]] = {}
        """Of each request that is running, by the id of its span."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.kind is SpanKind.SERVER:
            self._statements[span.context.span_id] = []

    def on_end(self, span: ReadableSpan) -> None:
        line = f"{span.name} {_milliseconds(span):.1f} ms"
        statements = self._statements.get(span.parent.span_id) if span.parent else None
        if span.kind is not SpanKind.SERVER and statements is not None:
            statements.append(line)
            return
        context, attributes = span.context, span.attributes or {}
        assert context is not None  # noqa: S101 - an SDK's span has one
        trace = format_trace_id(context.trace_id)
        if (status := attributes.get("http.response.status_code")) is not None:
            line = f"{span.name} {status} {_milliseconds(span):.1f} ms"
        done = self._statements.pop(context.span_id, [])
        level = DEBUG if attributes.get(POLLS) else INFO
        logger.log(level, "trace %s %s%s", trace, line, f": {', '.join(done)}" if done else "")


def _milliseconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e6
