"""Malformed requests, and requests that two parsers could read differently, as bytes.

Many hide a second request, `POST /things`, which only a wrong parser would find, or one that disagrees with the
parser in front of it: https://datatracker.ietf.org/doc/html/rfc9112#section-11.2
"""

import json

from tests.probe.collection import THINGS

MARK = "%MARK%"
"""Stands for the text of the hidden request, which is different in each test and has 32 characters."""

_BODY = json.dumps(THINGS.body(MARK))
HIDDEN = (
    f"POST {THINGS.path} HTTP/1.1\r\nHost: hidden\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(_BODY) - len(MARK) + 32}\r\n\r\n{_BODY}"
)


def _post(headers: str, body: str = f"0\r\n\r\n{HIDDEN}", version: str = "1.1") -> str:
    return f"POST /nothing HTTP/{version}\r\nHost: test\r\n{headers}\r\n\r\n{body}"


def _chunked(body: str) -> str:
    return _post("Transfer-Encoding: chunked", body)


def _get(headers: str) -> str:
    return f"GET /nothing HTTP/1.1\r\nHost: test\r\n{headers}\r\n\r\n"


_LENGTH = "Content-Length: 300"

LENGTHS = {
    "a length and chunked": _post(f"{_LENGTH}\r\nTransfer-Encoding: chunked"),
    "chunked and a length": _post(f"Transfer-Encoding: chunked\r\n{_LENGTH}"),
    "a space before the colon": _post(f"{_LENGTH}\r\nTransfer-Encoding : chunked"),
    "a tab before the value": _post(f"{_LENGTH}\r\nTransfer-Encoding:\tchunked"),
    "a vertical tab before the value": _post(f"{_LENGTH}\r\nTransfer-Encoding:\x0bchunked"),
    "a misspelt encoding": _post(f"{_LENGTH}\r\nTransfer-Encoding: xchunked"),
    "a quoted encoding": _post(f'{_LENGTH}\r\nTransfer-Encoding: "chunked"'),
    "chunked, then identity": _post(f"{_LENGTH}\r\nTransfer-Encoding: chunked, identity"),
    "identity, then chunked": _post(f"{_LENGTH}\r\nTransfer-Encoding: identity, chunked"),
    "chunked twice": _post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    "two encodings": _post(f"{_LENGTH}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    "a folded encoding": _post(f"{_LENGTH}\r\nTransfer-Encoding:\r\n chunked"),
    "a bare LF before the encoding": _post(f"{_LENGTH}\r\nX: x\nTransfer-Encoding: chunked"),
    "a bare CR before the encoding": _post(f"{_LENGTH}\r\nX: x\rTransfer-Encoding: chunked"),
    "an underscore": _post("Content-Length: 5\r\nTransfer_Encoding: chunked", "0\r\n\r\n"),
    "chunked in HTTP/1.0": _post(f"{_LENGTH}\r\nTransfer-Encoding: chunked", version="1.0"),
    "two lengths": _post("Content-Length: 0\r\nContent-Length: 300", HIDDEN),
    "a list of lengths": _post("Content-Length: 0, 300", HIDDEN),
    "a length with a sign": _post("Content-Length: +0", HIDDEN),
    "a negative length": _post("Content-Length: -1", HIDDEN),
    "a length in hexadecimal": _post("Content-Length: 0x0", HIDDEN),
    "a length with a space in it": _post("Content-Length: 0 300", HIDDEN),
    "an empty length": _post("Content-Length:", HIDDEN),
    "a length above 64 bits": _post("Content-Length: 99999999999999999999999", HIDDEN),
}

CHUNKS = {
    "a size that is not hexadecimal": _chunked(f"g\r\n\r\n{HIDDEN}"),
    "a negative size": _chunked(f"-1\r\n\r\n{HIDDEN}"),
    "a size with 0x": _chunked(f"0x0\r\n\r\n{HIDDEN}"),
    "a size above 64 bits": _chunked(f"10000000000000000\r\n\r\n{HIDDEN}"),
    "a size that 64 bits would truncate": _chunked(f"10000000000000005\r\nabcde\r\n0\r\n\r\n{HIDDEN}"),
    "a space before the size": _chunked(f" 0\r\n\r\n{HIDDEN}"),
    "no size": _chunked(f"\r\n\r\n{HIDDEN}"),
    "no line end after the data": _chunked(f"5\r\nabcde0\r\n\r\n{HIDDEN}"),
    "a bare LF after the size": _chunked(f"5\nabcde\r\n0\r\n\r\n{HIDDEN}"),
    "a bare LF in an extension": _chunked(f"5;\nabcde\r\n0\r\n\r\n{HIDDEN}"),
    "a bare CR in an extension": _chunked(f"5;\rabcde\r\n0\r\n\r\n{HIDDEN}"),
    "an extension of 100 kB": _chunked(f"5;{'x' * 100_000}\r\nabcde\r\n0\r\n\r\n"),
}

HEADERS = {
    "a folded header": _get("X-Folded: a\r\n b"),
    "a header without a colon": _get("X-None"),
    "a header without a name": _get(": value"),
    "a space in a name": _get("X Name: value"),
    "NUL in a name": _get("X\x00Name: value"),
    "NUL in a value": _get("X-Name: a\x00b"),
    "a bare CR in a value": _get("X-Name: a\rb"),
    "an escape character in a value": _get("X-Name: \x1b[2J"),
    "a space before the first header": "GET /nothing HTTP/1.1\r\n Host: test\r\n\r\n",
    "no host": "GET /nothing HTTP/1.1\r\n\r\n",
    "two hosts": _get("Host: other"),
    "a host with a path": "GET /nothing HTTP/1.1\r\nHost: test/../livez\r\n\r\n",
    "a host with NUL": "GET /nothing HTTP/1.1\r\nHost: te\x00st\r\n\r\n",
    "a header of 1 MB": _get(f"X-Large: {'x' * 1_000_000}"),
    "10,000 headers": _get("\r\n".join(f"X-{number}: x" for number in range(10_000))),
    "1,000 cookies": _get("\r\n".join(f"Cookie: a{number}=b" for number in range(1_000))),
}

LINES = {
    "a target of 1 MB": f"GET /{'x' * 1_000_000} HTTP/1.1\r\nHost: test\r\n\r\n",
    "a method of 100 kB": f"{'X' * 100_000} / HTTP/1.1\r\nHost: test\r\n\r\n",
    "a method in lower case": "get /nothing HTTP/1.1\r\nHost: test\r\n\r\n",
    "no method": "/nothing HTTP/1.1\r\nHost: test\r\n\r\n",
    "no target": "GET HTTP/1.1\r\nHost: test\r\n\r\n",
    "two spaces": "GET  /nothing  HTTP/1.1\r\nHost: test\r\n\r\n",
    "a tab": "GET\t/nothing\tHTTP/1.1\r\nHost: test\r\n\r\n",
    "NUL in the target": "GET /no\x00thing HTTP/1.1\r\nHost: test\r\n\r\n",
    "no version": "GET /nothing\r\nHost: test\r\n\r\n",
    "version 0.9": "GET /nothing HTTP/0.9\r\nHost: test\r\n\r\n",
    "version 1.9": "GET /nothing HTTP/1.9\r\nHost: test\r\n\r\n",
    "version 3.0": "GET /nothing HTTP/3.0\r\nHost: test\r\n\r\n",
    "CONNECT": "CONNECT 127.0.0.1:9000 HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\r\n",
    "TRACE": "TRACE / HTTP/1.1\r\nHost: test\r\nX-Secret: 1\r\n\r\n",
    "an absolute target elsewhere": "GET http://127.0.0.1:9000/livez HTTP/1.1\r\nHost: test\r\n\r\n",
    "a TLS handshake": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

SHAPES = {
    f"{group}: {name}": shape
    for group, shapes in (("lengths", LENGTHS), ("chunks", CHUNKS), ("headers", HEADERS), ("line", LINES))
    for name, shape in shapes.items()
}
