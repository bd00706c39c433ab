"""The page that a browser gets for an error: what happened, what to do, and the request id."""

from html import escape
from http import HTTPStatus

from hypercorn.typing import HTTPScope
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service.web.problem import PROBLEM, title

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}

_ADVICE: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "Check the address. What was there may have been deleted.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The address exists, but it does not support this kind of request.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Correct what is named above, usually in the address, and try again.",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait a minute, then try again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "This usually passes within seconds. Try again in a moment.",
}
_OTHER_ADVICE = "If it happens again, ask for help and give the request id below."

# An empty href is the address of the page itself.
_PAGE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{status} {title}</title>
    <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/static/style.css">
    <link rel="stylesheet" href="/static/error.css">
  </head>
  <body class="error">
    <header class="top">
      <a class="brand" href="/">
        <img src="/static/icon.svg" alt="" width="28" height="28">
        Slipway
      </a>
    </header>
    <main>
      <p class="eyebrow">Error {status}</p>
      <h1>{title}</h1>
      <p>{detail}</p>
      <p>{advice}</p>
      <p class="actions">
        <a class="button" href="">Try again</a>
        <a href="/">Start page</a>
        <a href="/docs">API docs</a>
      </p>
      <p class="quiet">Request id <code>{request_id}</code></p>
    </main>
  </body>
</html>
"""


def accept_of(scope: HTTPScope) -> str:
    """The `Accept` header of a request; empty if it has none."""
    return b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")


def preferred(accept: str) -> bool:
    """Whether an `Accept` header prefers HTML to JSON. That of a browser does, that of other clients does not."""
    if "text/html" not in accept:  # cheap, because this also runs for each request that is refused under load
        return False
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.best_match([PROBLEM, "application/json", "text/html"]) == "text/html"


def render(status: int, detail: str, request_id: str) -> bytes:
    """The page. Everything that comes from the request is escaped."""
    page = _PAGE.format(
        status=int(status),
        title=escape(title(status)),
        detail=escape(detail),
        advice=escape(_ADVICE.get(status, _OTHER_ADVICE)),
        request_id=escape(request_id),
    )
    return page.encode()
