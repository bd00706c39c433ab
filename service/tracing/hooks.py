"""Whether requests are traced: decided once, when the process starts. Off, it costs nothing and imports nothing.

The variables are OpenTelemetry's own: OTEL_EXPORTER_OTLP_ENDPOINT says where spans go, and switches it on;
OTEL_TRACES_EXPORTER=console shows them among the logs.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.database.pool import Database
from service.settings import Settings, SettingsError
from service.telemetry.metrics import Exemplar, Metrics, no_exemplar

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_EXPORTERS = frozenset({"otlp", "console", "none"})


async def _nothing() -> None:
    """There is nothing to send."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where a trace touches the service. The defaults are those of a service that is not traced."""

    around: Callable[[Any], Any] = lambda app: app
    """Puts a span around each request of an ASGI application."""
    database: Callable[[Settings, Metrics], Database] = Database
    """Makes the pool; the traced one puts a span around each statement."""
    exemplar: Callable[[], Exemplar | None] = no_exemplar
    """What leads from the metric of the current request to its trace."""
    close: Callable[[], Awaitable[None]] = _nothing
    """Sends what is not sent yet; takes two seconds at most."""


OFF: Tracing = Tracing()


def from_environment(variables: Mapping[str, str], settings: Settings) -> Tracing:
    """As the variables OTEL_* say. Raises SettingsError for an exporter that is not here."""
    exporters = _exporters(variables)
    if not exporters:
        return OFF
    from service.tracing import spans  # the packages are imported by whom they serve only

    return spans.tracing(settings, exporters)


def _exporters(variables: Mapping[str, str]) -> frozenset[str]:
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return frozenset()
    has_endpoint = any(variables.get(name) for name in _ENDPOINTS)
    given = variables.get(_EXPORTER) or ("otlp" if has_endpoint else "none")
    named = frozenset(name.strip() for name in given.split(","))
    if unknown := named - _EXPORTERS:
        raise SettingsError(f"{_EXPORTER}: {', '.join(sorted(unknown))}: expected otlp, console or none")
    if "otlp" in named and not has_endpoint:
        raise SettingsError(f"{_EXPORTER} is otlp, and {_ENDPOINTS[0]} does not say where to send the spans")
    return named - {"none"}
