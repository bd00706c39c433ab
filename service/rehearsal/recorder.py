"""The last requests that the service has answered. They may hold credentials: they stay in memory, out of logs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import orjson
from hypercorn.typing import HTTPScope, Scope

from service.rehearsal.cost import Cost, Meter, measured
from service.web.routing import match_of

MOST = 50
LARGEST_BODY = 65_536  # bytes

_Key: TypeAlias = tuple[str, str | None, int]


@dataclass(frozen=True, slots=True)
class Request:
    """A request and the status of its answer. Bytes are text in Latin-1, as JSON needs it."""

    method: str
    route: str | None
    raw_path: str
    path: str
    query_string: str
    headers: list[tuple[str, str]]
    body: str
    status: int
    cost: Cost | None = None
    """On the code that answered it."""

    def __str__(self) -> str:
        return f"{self.method} {self.raw_path}"  # without the query, which may be secret

    @property
    def key(self) -> _Key:
        """Of requests that are alike."""
        return self.method, self.route, self.status // 100

    def encode(self) -> bytes:
        """One line."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Request":
        fields = orjson.loads(line)
        return cls(**fields | {"cost": fields["cost"] and Cost(**fields["cost"])})

    @classmethod
    def of(cls, scope: HTTPScope, body: bytes, status: int, cost: Cost) -> "Request":
        return cls(
            method=scope["method"],
            route=match_of(scope).route,
            raw_path=scope["raw_path"].decode("latin-1"),
            path=scope["path"],
            query_string=scope["query_string"].decode("latin-1"),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            body=body.decode("latin-1"),
            status=status,
            cost=cost,
        )


class Recorder:
    """Keeps the newest request of each method, route and class of status: at most MOST, and none that failed."""

    def __init__(self) -> None:
        self._kept: dict[_Key, Request] = {}  # the oldest first

    @property
    def requests(self) -> list[Request]:
        """In the order of their worth: which route has changed is unknown, so first one success of each route.

        Newer ones come first, because they are what a person is working on.
        """
        newest = [*self._kept.values()][::-1]
        return sorted(newest, key=lambda request: request.status // 100)

    def keep(self, requests: Iterable[Request]) -> None:
        """Take requests, the oldest first."""
        for request in requests:
            self._kept.pop(request.key, None)
            self._kept[request.key] = request
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]

    def around(self, app: Any) -> Any:
        """Return an ASGI application that keeps the requests that `app` answers."""

        async def recorded(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            with measured() as meter:
                recording = _Recording(self, scope, receive, send, meter)
                await app(scope, recording.receive, recording.send)

        return recorded


class _Recording:
    """One request that is being answered. It is kept when its answer begins: a stream may last for hours."""

    def __init__(self, recorder: Recorder, scope: HTTPScope, receive: Any, send: Any, meter: Meter) -> None:
        self._recorder = recorder
        self._scope = scope
        self._receive = receive
        self._send = send
        self._meter = meter
        self._body = bytearray()
        self._ended = not any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])

    async def receive(self) -> Any:
        event = await self._receive()
        if event["type"] == "http.request":
            if len(self._body) <= LARGEST_BODY:
                self._body += event["body"]
            self._ended = not event["more_body"]
        return event

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start" and event["status"] < 500:
            if self._ended and len(self._body) <= LARGEST_BODY:
                answered = Request.of(self._scope, bytes(self._body), event["status"], self._meter.cost)
                self._recorder.keep([answered])
            self._body.clear()
        await self._send(event)
