"""A complete answer, as the server sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypercorn.typing import ASGISendCallable

Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    """Status, body and headers; Content-Length is added when it is sent."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)

    async def send(self, send: ASGISendCallable) -> None:
        """Send it whole. One without a body says nothing of its length, as 204 and 304 must not."""
        if self.body:
            self.headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json(text: bytes | str, headers: Mapping[str, str], status: int = 200) -> Answer:
    """An answer in JSON, with a line end for those who read it on a terminal."""
    body = text if isinstance(text, bytes) else text.encode()
    return Answer(status, body + b"\n", [_JSON, *encode(headers)])


def encode(headers: Mapping[str, str]) -> Headers:
    """Headers as bytes. They are ASCII."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]
