"""Which requests the servers take for WebSockets. The application gets all others as HTTP, and can answer them."""

from collections.abc import Sequence

from hypercorn.protocol.ws_stream import Handshake


def is_handshake(method: str, http_version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request is a complete WebSocket handshake (RFC 6455, section 4.2.1). Names are in lower case."""
    names = {name for name, _ in headers}
    if method != "GET" or b"upgrade" not in names or names & {b"content-length", b"transfer-encoding"}:
        return False
    return Handshake([*headers], http_version).is_valid()
