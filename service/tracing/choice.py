"""Decides, when the process starts, whether requests are traced. The environment variables are OpenTelemetry's own.

OTEL_EXPORTER_OTLP_ENDPOINT is where spans are sent, and turns tracing on; OTEL_TRACES_EXPORTER=console writes them to
the log. Without either, nothing of OpenTelemetry is imported.
"""

from collections.abc import Mapping

from service.settings import Settings, SettingsError
from service.tracing.hooks import OFF, Tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTER = "OTEL_TRACES_EXPORTER"
_EXPORTERS = frozenset({"otlp", "console", "none"})


def from_environment(variables: Mapping[str, str], settings: Settings) -> Tracing:
    """The tracing that the OTEL_* variables ask for. Raises SettingsError for an exporter that is not supported."""
    exporters = _exporters(variables)
    if not exporters:
        return OFF
    from service.tracing import spans  # a service that is not traced does not pay for OpenTelemetry's packages

    return spans.tracing(settings, exporters)


def _exporters(variables: Mapping[str, str]) -> frozenset[str]:
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return frozenset()
    has_endpoint = any(variables.get(name) for name in _ENDPOINTS)
    value = variables.get(_EXPORTER) or ("otlp" if has_endpoint else "none")
    exporters = frozenset(name.strip() for name in value.split(","))
    if unknown := exporters - _EXPORTERS:
        raise SettingsError(f"{_EXPORTER}: {', '.join(sorted(unknown))}: expected otlp, console or none")
    if "otlp" in exporters and not has_endpoint:
        raise SettingsError(f"{_EXPORTER} is otlp, but {_ENDPOINTS[0]} is not set: set it to the URL of a collector")
    return exporters - {"none"}
