"""`GET /` for browsers and other clients, and the API docs. The files of Swagger UI come from its package."""

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from quart import Blueprint, Response, abort, request, send_from_directory
from quart_schema import hide, tag_blueprint

from service.domain import Machinery
from service.pages.models import DatabaseStatus, Root
from service.pages.parts import STATIC, SignIn, assemble, assemble_docs, files_of
from service.pages.policies import policies, policy_of
from service.web.answer import Answer, json
from service.web.endpoint import endpoint
from service.web.openapi import anonymous

_OWN_FILES = frozenset({"style.css", "page.js", "client.js", "error.css", "docs.css", "docs.js", "icon.svg"})
_FILES_FOR_USERS = frozenset({"session.js", "provider.js", "users.css"})
_SWAGGER_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
_REDIRECT = "oauth2-redirect.html"
_HEADERS = {"vary": "accept", "cache-control": "no-store"}


def blueprint(machinery: Machinery) -> Blueprint:
    """The routes of the pages and their files."""
    routes = Blueprint("pages", __name__)
    tag_blueprint(routes, ["service"])
    settings = machinery.settings
    sign_in = SignIn(settings.identity_issuer, settings.identity_client) if settings.identity == "gateway" else None
    _add_root(routes, machinery, sign_in)
    _add_docs(routes, sign_in)
    _add_files(routes, machinery.parts, _OWN_FILES | _FILES_FOR_USERS if sign_in else _OWN_FILES)
    return routes


def _add_root(routes: Blueprint, machinery: Machinery, sign_in: SignIn | None) -> None:
    settings, lifecycle, readiness = machinery.settings, machinery.lifecycle, machinery.readiness
    tools = {name.removeprefix("link_"): url for name, url in settings if name.startswith("link_") and url}
    page = assemble(machinery.parts, machinery.links.values(), tools, sign_in)
    policy = policies(sign_in)["/"]

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
    @anonymous
    @endpoint(answer=Root, for_clients=root_as_json, polled=True)
    async def root() -> Response:
        """Tell which service answers, in which version and on which replica. A browser gets a page."""
        return await _page(page, policy)


def _add_docs(routes: Blueprint, sign_in: SignIn | None) -> None:
    page, policy = assemble_docs(sign_in), policies(sign_in)["/docs"]

    @routes.get("/docs")
    @hide
    async def docs() -> Response:
        """The API docs."""
        return await _page(page, policy)

    if sign_in:
        redirect = _swagger_directory() / _REDIRECT
        redirect_page, redirect_policy = redirect.read_bytes(), policy_of(redirect)

        @routes.get(f"/static/{_REDIRECT}")
        @hide
        async def from_provider() -> Response:
            """Where the provider sends the window that Swagger UI has opened for a sign-in."""
            return await _page(redirect_page, redirect_policy)


def _add_files(routes: Blueprint, parts: Mapping[str, Path], own: frozenset[str]) -> None:
    files = {name: files_of(folder) for name, folder in parts.items()}

    @routes.get("/static/<name>")
    @hide
    async def file_of_pages(name: str) -> Response:
        """A file of the pages, with an ETag for caches."""
        if name in own:
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


async def _page(page: bytes, policy: str) -> Response:
    response = Response(page, content_type="text/html; charset=utf-8")
    await response.add_etag()
    response.headers["content-security-policy"] = policy
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
