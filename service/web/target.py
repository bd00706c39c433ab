"""The target of a request, in the four forms of RFC 9112, section 3.2. Routing knows two of them: a path and `*`."""

import re
from urllib.parse import unquote

from hypercorn.typing import HTTPScope

from service.errors import Malformed

EVERYTHING = "*"
"""The path of `OPTIONS *`, which asks about the server as a whole."""

_ABSOLUTE = re.compile(rb"https?://(?:[^/@]*@)?([^/@]+)(/.*)?", re.IGNORECASE | re.DOTALL)


def simplify(scope: HTTPScope) -> None:
    """Make the path of the scope one that starts with `/`, or EVERYTHING. Raises Malformed if it can be neither.

    Clients send the absolute form (`GET http://a.example/things`) to what they take for a proxy. A server has to
    accept it, and to use its host in place of the Host header.
    """
    target, method = scope["raw_path"], scope["method"]
    if target.startswith(b"/"):
        return
    if found := _ABSOLUTE.fullmatch(target):
        host, path = found.groups()
        target = path or (b"*" if method == "OPTIONS" else b"/")
        scope["raw_path"], scope["path"] = target, unquote(target.decode("ascii"))
        scope["headers"] = [(b"host", host), *(header for header in scope["headers"] if header[0] != b"host")]
    if not target.startswith(b"/") and (method, target) != ("OPTIONS", b"*"):
        raise Malformed("The target of the request is neither a path that starts with / nor an http URL. Send one.")
