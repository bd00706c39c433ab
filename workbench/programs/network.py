"""Whether an address answers, and how much it would send. It takes seconds also where a network drops all packets."""

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from workbench.errors import StepFailed

CONNECT_WITHIN = 4.0
ANSWER_WITHIN = 6.0
"""Also limits the name resolution, which has no timeout of its own."""


@dataclass(frozen=True)
class Probe:
    """`size` in bytes if the server says it; `problem` if the address cannot be read."""

    size: int | None = None
    problem: str | None = None


def probe(addresses: Iterable[str]) -> Mapping[str, Probe]:
    """Asks all addresses at the same time. Uses the variables https_proxy, no_proxy and SSL_CERT_FILE."""
    answers: dict[str, Probe] = {}
    threads = {address: threading.Thread(target=_ask, args=(address, answers), daemon=True) for address in addresses}
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + ANSWER_WITHIN
    for thread in threads.values():
        thread.join(max(0, deadline - time.monotonic()))
    late = f"no answer within {ANSWER_WITHIN:.0f} s"
    return {address: answers.get(address) or Probe(problem=f"{host(address)}: {late}") for address in threads}


def opened(address: str, timeout: float) -> http.client.HTTPResponse:
    """The response, to be used in `with`. Raises OSError; an HTTP status of 400 and more is an HTTPError."""
    response: http.client.HTTPResponse = urllib.request.urlopen(address, timeout=timeout, context=_authorities())  # noqa: S310 - or the user's mirror
    return response


def _authorities() -> ssl.SSLContext:
    """Also those of Mozilla: Python for macOS has none of its own."""
    context = ssl.create_default_context()
    with suppress(ImportError, OSError):
        context.load_verify_locations(import_module("certifi").where())
    return context


def _ask(address: str, answers: dict[str, Probe]) -> None:
    """Reads only the headers, of a GET: not every host that signs its addresses signs them for HEAD."""
    try:
        with opened(address, CONNECT_WITHIN) as answer:
            length = answer.headers["Content-Length"]
            answers[address] = Probe(size=int(length) if length else None)
    except (OSError, ValueError, http.client.HTTPException) as error:
        answers[address] = Probe(problem=f"{host(address)}: {reason(error)}")


def host(address: str) -> str:
    return urlsplit(address).netloc


def reason(error: Exception) -> str:
    """The error in one line. urllib puts the one of the socket into another one."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it is also the response
        return f"HTTP {error.code}"
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return " ".join(text.split())


def megabytes(sizes: Iterable[int | None]) -> str:
    known = [size for size in sizes if size is not None]
    return f"{sum(known) / 1e6:.0f} MB" if known else "size unknown"


def first_reachable(addresses: Iterable[str], answers: Mapping[str, Probe]) -> Probe:
    """The first answer without a problem. Raises StepFailed with the problems of all addresses."""
    asked = [answers[address] for address in addresses]
    for answer in asked:
        if answer.problem is None:
            return answer
    raise StepFailed("; ".join(answer.problem or "" for answer in asked))
