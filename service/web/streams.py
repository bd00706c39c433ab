"""The paths of streams. The ingress knows a stream by its method and the last part of its path, and by nothing else.

A stream may last for hours, so the ingress gives it no timeout, does not wait for the whole body, and counts it
separately (k8s/istio/virtualservice.yaml). The latency objective leaves streams out by the same convention
(k8s/observability/prometheus/rules/slo.yaml).
"""

from collections.abc import Iterable, Mapping

from service.web.endpoint import Kind

STREAMS: Mapping[tuple[str, str], Kind] = {
    ("GET", "events"): Kind.EVENTS,
    ("GET", "export"): Kind.BULK,
    ("POST", "import"): Kind.BULK,
}
"""The kind of a stream by its method and the last part of its path."""

_RESERVED = {word: method for method, word in STREAMS}


class StreamPathError(Exception):
    """A route that the ingress would take for another kind of request. The message says what to change."""


def kind_of(method: str, path: str) -> Kind:
    """What the ingress takes a request for."""
    return STREAMS.get((method, _last_part(path)), Kind.REQUEST)


def check_path(methods: Iterable[str], path: str, kind: Kind) -> None:
    """Raises StreamPathError if the methods and the path of a route do not suit its kind."""
    word = _last_part(path)
    for method in sorted({*methods} - {"HEAD", "OPTIONS"}):
        if kind is Kind.REQUEST and word in _RESERVED:
            raise StreamPathError(
                f"{method} {path} is no stream, but paths that end with /{word} are those of streams "
                f"({_RESERVED[word]}), which have no timeout at the ingress: choose another path, or declare the "
                "stream with @endpoint(kind=...)"
            )
        if kind is not kind_of(method, path):
            expected = " or ".join(f"{of} .../{last}" for (of, last), known in STREAMS.items() if known is kind)
            raise StreamPathError(
                f"{method} {path} is a stream (Kind.{kind.name}), but the ingress takes it for another request and "
                f"would end it after a timeout: make it {expected}"
            )


def _last_part(path: str) -> str:
    return path.rpartition("/")[2]
