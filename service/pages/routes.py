"""`GET /` for browsers and other clients, and the API docs. The files of Swagger UI come from its package."""

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from quart import Blueprint, Response, abort, request, send_from_directory
from quart_schema import hide, tag_blueprint

from service.domain import Machinery
from service.pages.models import DatabaseStatus, Root
from service.pages.parts import STATIC, assemble, files_of
from service.web.answer import Answer, json
from service.web.endpoint import endpoint

_OWN_FILES = frozenset({"style.css", "page.js", "client.js", "error.css", "docs.css", "docs.js", "icon.svg"})
_SWAGGER_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
# Nothing inline, and nothing from another host.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_POLICIES = {
    # With Trusted Types the browser rejects innerHTML and the like, so text never becomes markup by mistake.
    "/": f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'",
    # The stylesheet of Swagger UI contains its icons as data: URLs.
    "/docs": _POLICY.replace("img-src 'self'", "img-src 'self' data:"),
}
_HEADERS = {"vary": "accept", "cache-control": "no-store"}


def blueprint(machinery: Machinery) -> Blueprint:
    """The routes of the pages and their files."""
    routes = Blueprint("pages", __name__)
    tag_blueprint(routes, ["service"])
    _add_root(routes, machinery)
    _add_docs(routes)
    _add_files(routes, machinery.parts)
    return routes


def _add_root(routes: Blueprint, machinery: Machinery) -> None:
    settings, lifecycle, readiness = machinery.settings, machinery.lifecycle, machinery.readiness
    tools = {name.removeprefix("link_"): url for name, url in settings if name.startswith("link_") and url}
    page = assemble(machinery.parts, machinery.links.values(), tools)

    @cache
    def document(available: bool, version: str | None, receipt: str) -> Answer:
        database = DatabaseStatus(status="available" if available else "unavailable", version=version)
        root = Root(
            service=settings.name,
            version=settings.version,
            environment=settings.environment,
            instance=settings.instance,
            database=database,
            links={**machinery.links, **tools},
            receipt=receipt,
        )
        return json(root.model_dump(exclude=None if receipt else {"receipt"}), _HEADERS)

    async def root_as_json() -> Answer:
        check = lifecycle.checks.get("database")
        known = document(check is not None and check.ok, readiness.server_version, lifecycle.receipt)
        return Answer(known.status, known.body, [*known.headers])

    @routes.get("/")
    @endpoint(answer=Root, for_clients=root_as_json, polled=True)
    async def root() -> Response:
        """Tell which service answers, in which version and on which replica. A browser gets a page."""
        response = Response(page, content_type="text/html; charset=utf-8")
        await response.add_etag()
        return await _page(response, "/")


def _add_docs(routes: Blueprint) -> None:
    @routes.get("/docs")
    @hide
    async def docs() -> Response:
        """The API docs."""
        return await _page(await send_from_directory(STATIC, "docs.html"), "/docs")


def _add_files(routes: Blueprint, parts: Mapping[str, Path]) -> None:
    files = {name: files_of(folder) for name, folder in parts.items()}

    @routes.get("/static/<name>")
    @hide
    async def file_of_pages(name: str) -> Response:
        """A file of the pages, with an ETag for caches."""
        if name in _OWN_FILES:
            return await _cached(await send_from_directory(STATIC, name))
        if name in _SWAGGER_FILES:
            return await _cached(await send_from_directory(_swagger_directory(), name))
        abort(404)

    @routes.get("/static/<part>/<name>")
    @hide
    async def file_of_part(part: str, name: str) -> Response:
        """A file of a domain's part of the page, with an ETag for caches."""
        if name not in files.get(part, ()):
            abort(404)
        return await _cached(await send_from_directory(parts[part], name))


async def _page(response: Response, path: str) -> Response:
    response.headers["content-security-policy"] = _POLICIES[path]
    response.headers["vary"] = "accept"
    return await _cached(response)


async def _cached(response: Response) -> Response:
    response.headers["cache-control"] = "no-cache"  # browsers keep it, and ask each time whether it has changed
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
