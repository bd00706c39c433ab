"""Where tracing touches the service: hooks that do nothing unless requests are traced."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from service.telemetry.metrics import Exemplar, no_exemplar

EndSpan: TypeAlias = Callable[[BaseException | None], None]
"""Ends a span, given the exception that ended the traced block, or None."""


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Tracing:
    """The hooks. The defaults are those of a service that is not traced."""

    around: Callable[[Any], Any] = lambda app: app
    """Wraps an ASGI application, so that each request has a span."""
    start_statement: Callable[[str, str], EndSpan | None] = lambda name, sql: None
    """Starts the span of a statement, given its name and SQL. None if the current request is not recorded."""
    waited: Callable[[float], None] = lambda seconds: None
    """Records how many seconds the current request has just waited for a connection."""
    exemplar: Callable[[], Exemplar | None] = no_exemplar
    """The labels that link a metric of the current request to its trace."""
    close: Callable[[], Awaitable[None]] = _nothing
    """Sends the remaining spans. Takes two seconds at most."""


OFF: Tracing = Tracing()
