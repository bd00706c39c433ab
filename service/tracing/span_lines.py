"""Writes each traced request to the log, as one line with the spans in it."""

from logging import DEBUG, INFO, getLogger

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, format_trace_id

logger = getLogger("service.trace")

IS_POLL = "page.polls"
"""The span attribute of a poll by the page. Polls are logged at debug: their lines would bury the others."""


class SpanLines(SpanProcessor):
    """Logs `trace 5b8aa5a2... GET /things 200 4.1 ms: thing_list 2.9 ms` when a request ends."""

    def __init__(self) -> None:
        self._lines: dict[int, list[str]] = {}
        """The lines of the spans that have ended in each running request, by the id of the request's span."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.kind is SpanKind.SERVER:
            self._lines[span.context.span_id] = []

    def on_end(self, span: ReadableSpan) -> None:
        line = f"{span.name} {_milliseconds(span):.1f} ms"
        siblings = self._lines.get(span.parent.span_id) if span.parent else None
        if span.kind is not SpanKind.SERVER and siblings is not None:
            siblings.append(line)
            return
        context, attributes = span.context, span.attributes or {}
        assert context is not None  # noqa: S101 - the SDK's spans always have one
        trace = format_trace_id(context.trace_id)
        if (status := attributes.get("http.response.status_code")) is not None:
            line = f"{span.name} {status} {_milliseconds(span):.1f} ms"
        children = self._lines.pop(context.span_id, [])
        level = DEBUG if attributes.get(IS_POLL) else INFO
        logger.log(level, "trace %s %s%s", trace, line, f": {', '.join(children)}" if children else "")


def _milliseconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e6
