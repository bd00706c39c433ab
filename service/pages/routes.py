"""`GET /` for clients and for browsers, and the API docs with the files of Swagger UI from its package."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from quart import Blueprint, Response, abort, request, send_from_directory
from quart_schema import hide, tag_blueprint, validate_querystring

from service.database.readiness import Readiness
from service.lifecycle import Lifecycle
from service.pages.models import DatabaseStatus, Root
from service.settings import Settings
from service.web.answer import Answer, json
from service.web.endpoint import endpoint
from service.web.openapi import NoQuery, problems

_HERE = Path(__file__).parent / "static"
_OWN_FILES = frozenset({"style.css", "page.js", "error.css", "docs.css", "docs.js", "icon.svg"})
_SWAGGER_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
_LINKS = {"notes": "/notes", "events": "/notes/events", "openapi": "/openapi.json", "docs": "/docs"}
_ELSEWHERE = ("tilt", "grafana", "prometheus", "jaeger")
# Nothing inline, and nothing from another host.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICIES = {
    # No text can become markup by mistake: the browser refuses innerHTML and its like.
    "index.html": f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'",
    # The stylesheet of Swagger UI has its icons in data: URLs.
    "docs.html": _POLICY.replace("img-src 'self'", "img-src 'self' data:"),
}


@dataclass(frozen=True, slots=True)
class Pages:
    """What the routes need; the application keeps it under `extensions["pages"]`."""

    settings: Settings
    lifecycle: Lifecycle
    readiness: Readiness


blueprint = Blueprint("pages", __name__)
tag_blueprint(blueprint, ["service"])


async def identify(pages: Pages) -> Answer:
    """Which service answers, for clients."""
    settings, check = pages.settings, pages.lifecycle.checks.get("database")
    answer = Root(
        service=settings.name,
        version=settings.version,
        environment=settings.environment,
        instance=settings.instance,
        database=DatabaseStatus(
            status="available" if check is not None and check.ok else "unavailable",
            version=pages.readiness.server_version,
        ),
        links=_links(settings),
    )
    return json(answer.model_dump_json(), {"vary": "accept", "cache-control": "no-store"})


@blueprint.get("/")
@problems(422)
@endpoint("pages", answer=Root, clients=identify)
@validate_querystring(NoQuery)
async def root(query_args: NoQuery) -> Response:
    """Say which service answers, and from where. A browser gets a page."""
    return await _page("index.html")


@blueprint.get("/docs")
@hide
async def docs() -> Response:
    """The API docs."""
    return await _page("docs.html")


@blueprint.get("/static/<name>")
@hide
async def static_file(name: str) -> Response:
    """A file of the pages, cached with its ETag."""
    if name in _OWN_FILES:
        response = await send_from_directory(_HERE, name)
    elif name in _SWAGGER_FILES:
        response = await send_from_directory(_swagger_directory(), name)
    else:
        abort(404)
    response.headers["cache-control"] = "no-cache"  # kept, and asked about: a new version is seen at once
    await response.make_conditional(request)
    return response


def _links(settings: Settings) -> dict[str, str]:
    elsewhere = {name: getattr(settings, f"link_{name}") for name in _ELSEWHERE}
    return _LINKS | {name: url for name, url in elsewhere.items() if url}


async def _page(name: str) -> Response:
    response = await send_from_directory(_HERE, name)
    response.headers["content-security-policy"] = _POLICIES[name]
    response.headers["vary"] = "accept"
    response.headers["cache-control"] = "no-cache"
    await response.make_conditional(request)
    return response


def _swagger_directory() -> Path:
    # Found, not imported: only the files are of use.
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("package swagger-ui-py is not installed: requirements/service.txt has it")
    return Path(spec.origin).parent / "static"
