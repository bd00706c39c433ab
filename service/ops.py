"""The ops port: `/livez`, `/readyz`, `/metrics`. Raw ASGI on a port of its own, which the ingress does not know."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, LifespanScope, Scope
from prometheus_client.exposition import choose_encoder

from service.lifecycle import Lifecycle
from service.metrics import Metrics
from service.settings import Settings

_TEXT = "text/plain; charset=utf-8"


class Ops:
    """Answers probes and scrapes; needs neither Quart nor the database."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self._metrics_file = Path(settings.metrics_file) if settings.metrics_file else None
        self._lifecycle = lifecycle
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(scope, receive, send)
        elif scope["type"] == "http":
            status, content_type, body = self._answer(scope)
            headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
            if status == 405:
                headers.append((b"allow", b"GET, HEAD"))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})

    def _answer(self, scope: HTTPScope) -> tuple[int, str, bytes]:
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, _TEXT, b"GET and HEAD only\n"
        match scope["path"]:
            case "/livez":
                return 200, _TEXT, b"alive\n"
            case "/readyz":
                return self._readiness()
            case "/metrics":
                return self._scrape(dict(scope["headers"]).get(b"accept", b"").decode("latin-1"))
        return 404, _TEXT, b"/livez, /readyz and /metrics are here\n"

    def _scrape(self, accept: str) -> tuple[int, str, bytes]:
        encode, content_type = choose_encoder(accept)
        metrics: bytes = encode(self._metrics.registry)
        if self._metrics_file is not None:
            with suppress(FileNotFoundError):
                end = b"# EOF\n"  # of OpenMetrics, and of nothing else
                more = self._metrics_file.read_bytes()
                metrics = metrics.removesuffix(end) + more + (end if metrics.endswith(end) else b"")
        return 200, content_type, metrics

    def _readiness(self) -> tuple[int, str, bytes]:
        lifecycle = self._lifecycle
        answer = {
            "state": lifecycle.state,
            "checks": {name: asdict(check) for name, check in lifecycle.checks.items()},
        }
        return 200 if lifecycle.ready else 503, "application/json", json.dumps(answer).encode() + b"\n"


async def _lifespan(_scope: LifespanScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Nothing to start and nothing to stop."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
