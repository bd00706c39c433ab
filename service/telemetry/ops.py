"""The ops port: `/livez`, `/readyz`, `/metrics`, `/log-level`. Plain ASGI, on a port unknown to the ingress."""

import json
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, LifespanScope, Scope
from prometheus_client.exposition import choose_encoder

from service.lifecycle import Lifecycle
from service.settings import Settings
from service.telemetry import logs
from service.telemetry.metrics import Metrics

_TEXT = "text/plain; charset=utf-8"
_LOG_LEVEL = "/log-level"
_TOTAL = re.compile(rb"^(# (?:HELP|TYPE) \w+)_total\b", re.MULTILINE)  # OpenMetrics omits the suffix
_MAXIMUM_BODY = 64  # bytes; every level is shorter


class Ops:
    """Answers probes and scrapes. Needs neither Quart nor the database."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self._metrics_file = Path(settings.metrics_file) if settings.metrics_file else None
        self._lifecycle = lifecycle
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(scope, receive, send)
        elif scope["type"] == "http":
            is_change = scope["path"] == _LOG_LEVEL and scope["method"] == "PUT"
            status, content_type, body = _change_level(await _read(receive)) if is_change else self._answer(scope)
            headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
            if status == 405:
                headers.append((b"allow", b"GET, HEAD, PUT" if scope["path"] == _LOG_LEVEL else b"GET, HEAD"))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})

    def _answer(self, scope: HTTPScope) -> tuple[int, str, bytes]:
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, _TEXT, b"method not allowed: the Allow header lists the methods of this path\n"
        match scope["path"]:
            case "/livez":
                return 200, _TEXT, b"alive\n"
            case "/readyz":
                return self._readiness()
            case "/metrics":
                return self._scrape(dict(scope["headers"]).get(b"accept", b"").decode("latin-1"))
            case "/log-level":
                return 200, _TEXT, f"{logs.level()}\n".encode()
        return 404, _TEXT, b"not found: this port serves /livez, /readyz, /metrics and /log-level\n"

    def _scrape(self, accept: str) -> tuple[int, str, bytes]:
        encode, content_type = choose_encoder(accept)
        metrics: bytes = encode(self._metrics.registry)
        if self._metrics_file is not None:
            with suppress(FileNotFoundError):
                extra = self._metrics_file.read_bytes()
                end = b"# EOF\n"  # OpenMetrics ends with this line, the text format does not
                if metrics.endswith(end):
                    metrics = metrics.removesuffix(end) + _TOTAL.sub(rb"\1", extra) + end
                else:
                    metrics += extra
        return 200, content_type, metrics

    def _readiness(self) -> tuple[int, str, bytes]:
        lifecycle = self._lifecycle
        answer = {
            "state": lifecycle.state,
            "checks": {name: asdict(check) for name, check in lifecycle.checks.items()},
        }
        return 200 if lifecycle.ready else 503, "application/json", json.dumps(answer).encode() + b"\n"


def _change_level(body: bytes) -> tuple[int, str, bytes]:
    level = body.decode("latin-1").strip()
    for name in logs.LEVELS:
        if name == level:
            logs.set_level(name)
            return 200, _TEXT, f"{name}\n".encode()
    return 422, _TEXT, f"the body must be one of {', '.join(logs.LEVELS)}\n".encode()


async def _read(receive: ASGIReceiveCallable) -> bytes:
    """The body. Stops reading once the body is too long for a level."""
    body, more = b"", True
    while more and len(body) < _MAXIMUM_BODY:
        event = await receive()
        if event["type"] != "http.request":
            break
        body, more = body + event["body"], event["more_body"]
    return body


async def _lifespan(_scope: LifespanScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Nothing to start and nothing to stop."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
