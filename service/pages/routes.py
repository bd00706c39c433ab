"""`GET /` for browsers and other clients, and the API docs. The files of Swagger UI come from its package."""

import importlib.util
from functools import cache
from pathlib import Path

from quart import Blueprint, Response, abort, request, send_from_directory
from quart_schema import hide, tag_blueprint

from service.domain import Machinery
from service.pages.models import DatabaseStatus, Root
from service.web.answer import Answer, json
from service.web.endpoint import endpoint

_STATIC = Path(__file__).parent / "static"
_OWN_FILES = frozenset({"style.css", "page.js", "error.css", "docs.css", "docs.js", "icon.svg"})
_SWAGGER_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
# Nothing inline, and nothing from another host.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICIES = {
    # With Trusted Types the browser rejects innerHTML and the like, so text never becomes markup by mistake.
    "index.html": f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'",
    # The stylesheet of Swagger UI contains its icons as data: URLs.
    "docs.html": _POLICY.replace("img-src 'self'", "img-src 'self' data:"),
}
_HEADERS = {"vary": "accept", "cache-control": "no-store"}


def blueprint(machinery: Machinery) -> Blueprint:
    """The routes of the pages and their files."""
    routes = Blueprint("pages", __name__)
    tag_blueprint(routes, ["service"])
    _add_root(routes, machinery)
    _add_docs(routes)
    return routes


def _add_root(routes: Blueprint, machinery: Machinery) -> None:
    settings, lifecycle, readiness = machinery.settings, machinery.lifecycle, machinery.readiness
    tools = {name.removeprefix("link_"): url for name, url in settings if name.startswith("link_") and url}

    @cache
    def document(available: bool, version: str | None) -> Answer:
        database = DatabaseStatus(status="available" if available else "unavailable", version=version)
        root = Root(
            service=settings.name,
            version=settings.version,
            environment=settings.environment,
            instance=settings.instance,
            database=database,
            links={**machinery.links, **tools},
        )
        return json(root.model_dump(), _HEADERS)

    async def root_as_json() -> Answer:
        check = lifecycle.checks.get("database")
        known = document(check is not None and check.ok, readiness.server_version)
        return Answer(known.status, known.body, [*known.headers])

    @routes.get("/")
    @endpoint(answer=Root, for_clients=root_as_json, polled=True)
    async def root() -> Response:
        """Tell which service answers, in which version and on which replica. A browser gets a page."""
        return await _page("index.html")


def _add_docs(routes: Blueprint) -> None:
    @routes.get("/docs")
    @hide
    async def docs() -> Response:
        """The API docs."""
        return await _page("docs.html")

    @routes.get("/static/<name>")
    @hide
    async def static_file(name: str) -> Response:
        """A file of the pages, with an ETag for caches."""
        if name in _OWN_FILES:
            response = await send_from_directory(_STATIC, name)
        elif name in _SWAGGER_FILES:
            response = await send_from_directory(_swagger_directory(), name)
        else:
            abort(404)
        response.headers["cache-control"] = "no-cache"  # browsers keep it, and ask each time whether it has changed
        await response.make_conditional(request)
        return response


async def _page(name: str) -> Response:
    response = await send_from_directory(_STATIC, name)
    response.headers["content-security-policy"] = _POLICIES[name]
    response.headers["vary"] = "accept"
    response.headers["cache-control"] = "no-cache"
    await response.make_conditional(request)
    return response


def _swagger_directory() -> Path:
    # The package is not imported, because only its files are needed.
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package swagger-ui-py is not installed; run pip install -r requirements/service.txt"
        )
    return Path(spec.origin).parent / "static"
