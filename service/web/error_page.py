"""An error as a page for a browser: what happened, what to do, and the request id. Clients get problem+json."""

from html import escape
from http import HTTPStatus

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from service.web.problem import PROBLEM, title

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
}

_ADVICE: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "Check the address. It may also have been deleted.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The address is right, but it answers other requests than this one.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Correct what is named above, most likely in the address, and try again.",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait a minute, then try again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "This passes by itself, usually within seconds. Try again in a moment.",
}
_OTHERWISE = "If it happens again, ask for help and give the request id below."

# An empty href is the page's own address.
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
      <a class="brand" href="/"><img src="/static/icon.svg" alt="" width="28" height="28">Slipway</a>
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


def preferred(accept: str) -> bool:
    """Whether an `Accept` header puts HTML before JSON, as a browser's does and a client's does not."""
    if "text/html" not in accept:  # cheap, because shed requests are asked too
        return False
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.best_match([PROBLEM, "application/json", "text/html"]) == "text/html"


def render(status: int, detail: str, request_id: str) -> bytes:
    """The page. All that comes from the request is escaped."""
    page = _PAGE.format(
        status=int(status),
        title=escape(title(status)),
        detail=escape(detail),
        advice=escape(_ADVICE.get(status, _OTHERWISE)),
        request_id=escape(request_id),
    )
    return page.encode()
