"""`/` for programs and for browsers, and the API docs, which load nothing from other hosts.

The page may have parts of domains.
"""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest

from tests.ingress.contract import Contract

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
PAGES = ["/", "/docs"]
TYPES = {
    "/static/icon.svg": "image/svg+xml; charset=utf-8",
    "/static/style.css": "text/css; charset=utf-8",
    "/static/error.css": "text/css; charset=utf-8",
    "/static/docs.css": "text/css; charset=utf-8",
    "/static/swagger-ui.css": "text/css; charset=utf-8",
    "/static/page.js": "text/javascript; charset=utf-8",
    "/static/client.js": "text/javascript; charset=utf-8",
    "/static/docs.js": "text/javascript; charset=utf-8",
    "/static/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}
ASSETS = list(TYPES)
TOOLS = ["tilt", "grafana", "prometheus", "jaeger"]
IMPORTED = re.compile(r"""^import .* from "([^"]+)";$""", re.MULTILINE)

# Enough requests that each of a few replicas very likely gets some.
EVERY_REPLICA = range(8)


class References(HTMLParser):
    """The URLs in a page: `loaded` by the browser, and `links` for people."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name in {"href", "data", "action", "poster"} or name.startswith("src")):
                (self.links if tag == "a" else self.loaded).append(value)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html;q=0.9", None])
async def test_clients_get_json(client: httpx.AsyncClient, contract: Contract, accept: str | None) -> None:
    request = client.build_request("GET", "/")
    del request.headers["accept"]
    if accept:
        request.headers["accept"] = accept

    response = await client.send(request)

    contract.check(response)
    assert response.headers["content-type"] == "application/json"
    assert "accept" in response.headers["vary"].lower()
    root = response.json()
    assert list(root) == ["service", "version", "environment", "instance", "database", "links"]
    assert all(root[name] for name in ("service", "version", "environment", "instance"))
    assert root["database"]["status"] == "available"
    assert re.fullmatch(r"18\.\d+", root["database"]["version"])
    assert root["links"]["openapi"] == "/openapi.json"
    assert root["links"]["docs"] == "/docs"


async def test_every_link_answers(client: httpx.AsyncClient) -> None:
    for name, link in (await client.get("/")).json()["links"].items():
        if name in TOOLS:  # on other hosts
            assert link.startswith("http")
        else:
            async with client.stream("GET", link) as response:  # events never end
                assert response.status_code == 200


async def test_head_has_the_same_content_type(client: httpx.AsyncClient) -> None:
    for headers in ({}, BROWSER):
        response = await client.head("/", headers=headers)
        assert response.status_code == 200
        assert response.headers["content-type"] == (await client.get("/", headers=headers)).headers["content-type"]


@pytest.mark.parametrize("path", PAGES)
async def test_browsers_get_a_page_that_only_uses_this_host(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path, headers=BROWSER)

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert_allows_no_other_host(page.headers["content-security-policy"])
    references = References(page.text)
    assert references.loaded
    tools = {link for name, link in (await client.get("/")).json()["links"].items() if name in TOOLS}
    targets = [page.url.join(target) for target in (*references.loaded, *references.links) if target not in tools]
    for url in targets:  # grows by what the modules import
        assert (url.scheme, url.netloc) == (page.url.scheme, page.url.netloc), f"{url} is another host"
        async with client.stream("GET", url) as file:  # events never end
            assert file.status_code == 200
            if file.headers["content-type"].startswith("text/javascript"):
                await file.aread()
                targets += {url.join(module) for module in IMPORTED.findall(file.text)} - {*targets}


def assert_allows_no_other_host(policy: str) -> None:
    directives = {name: sources for name, *sources in (part.split() for part in policy.split(";"))}
    assert directives["default-src"] == ["'none'"]
    for name, sources in directives.items():
        assert set(sources) <= {"'none'", "'self'", "'script'", "data:"}, name
    for name in ("script-src", "style-src", "connect-src"):  # no inline code, no data: URLs
        assert directives[name] == ["'self'"]


async def test_the_docs_show_this_api(client: httpx.AsyncClient) -> None:
    [script] = [path for path in References((await client.get("/docs")).text).loaded if path.endswith("docs.js")]

    [document] = re.findall(r'url: "([^"]+)"', (await client.get(script)).text)

    assert (await client.get(urljoin(script, document))).json()["openapi"].startswith("3.1")


async def test_styles_load_nothing_from_other_hosts(client: httpx.AsyncClient) -> None:
    for path in ASSETS:
        if path.endswith(".css"):
            style = (await client.get(path)).text
            targets = re.findall(r"""(?:url\(|@import)\s*['"]?([^'")]+)""", style)
            assert [target for target in targets if not target.startswith("data:")] == []


@pytest.mark.parametrize("path", [*PAGES, *ASSETS])
async def test_a_file_with_a_known_etag_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path, headers=BROWSER)
    assert first.status_code == 200
    assert first.content

    for _ in EVERY_REPLICA:
        again = await client.get(path, headers=BROWSER | {"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == "no-cache"
    changed = await client.get(path, headers=BROWSER | {"if-none-match": '"another"'})
    assert (changed.status_code, changed.content) == (200, first.content)


async def test_files_have_the_media_type_that_browsers_require(client: httpx.AsyncClient) -> None:
    for path in ASSETS:
        assert (await client.get(path)).headers["content-type"] == TYPES[path]
