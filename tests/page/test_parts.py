"""The parts of domains on the page: below each other, loaded as its policy allows, with files of their own."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect
from quart import Blueprint

from service import pages
from service.domain import Built, Domain, page_parts
from service.pages.parts import assemble
from tests.page.fixtures import OpenPage
from tests.probe import things
from tests.service.serving import Service

HTML = {"accept": "text/html"}
FRAGMENT = """
<section aria-labelledby="{name}-heading">
    <h2 id="{name}-heading">{name}</h2>
    <p id="{name}-answer"></p>
</section>
"""
MODULE = """
import {{ $, ask, write }} from "/static/client.js";
import {{ text }} from "./text.js";
write($("{name}-answer"), text((await ask("/")).data));
"""
TEXT = "export const text = (root) => `${root.service} ${root.instance}`;\n"
STYLE = "#{name}-part {{ h2 {{ color: rgb(1, 2, 3) }} }}\n"


def write_part(folder: Path, name: str) -> Path:
    """A part that shows which service and which replica answers."""
    part = folder / name / "page"
    (part / "inner").mkdir(parents=True)
    (folder / name / "private.txt").write_text("private")
    (part / "inner" / "text.js").write_text("private")
    for file, text in {"page.html": FRAGMENT, "page.js": MODULE, "page.css": STYLE}.items():
        (part / file).write_text(text.format(name=name))
    (part / "text.js").write_text(TEXT)
    return part


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def domains(folder: Path) -> Sequence[Domain]:
    with_part = replace(things.DOMAIN, page=write_part(folder, "things"))
    other = Domain(lambda machinery: Built(Blueprint("berths", __name__)), page=write_part(folder, "berths"))
    return with_part, other, pages.DOMAIN


@pytest.fixture
def page_url(shared_service: Service) -> str:
    return str(shared_service.api.base_url).rstrip("/")


@pytest.fixture
def api(shared_service: Service) -> httpx.AsyncClient:
    return shared_service.api


async def test_the_parts_of_two_domains_are_below_each_other_and_work(open_page: OpenPage) -> None:
    page = await open_page()

    for name in ("things", "berths"):
        part = page.get_by_role("region", name=name)
        await expect(part.get_by_role("paragraph")).to_have_text("slipway test")
        await expect(part.get_by_role("heading")).to_have_css("color", "rgb(1, 2, 3)")
    boxes = [await page.locator(selector).bounding_box() for selector in ("#strip", "#things-part", "#berths-part")]
    tops = [box["y"] for box in boxes if box]
    assert tops == sorted(set(tops))
    assert len(tops) == 3


@pytest.mark.parametrize("names", [[], ["things"]])
def test_the_page_lists_the_paths_of_the_api_if_there_is_no_part(tmp_path: Path, names: list[str]) -> None:
    page = assemble({name: write_part(tmp_path, name) for name in names}, ["/things", "/docs?a&b"], {}).decode()

    listed = re.findall(r'<a href="(.+)"><code>(.+)</code></a>', page)
    assert listed == ([] if names else [("/things", "/things"), ("/docs?a&amp;b",) * 2])


def test_the_page_links_to_the_tools() -> None:
    page = assemble({}, [], {"grafana": 'http://tools/?a&b="'}).decode()

    assert '<li><a href="http://tools/?a&amp;b=&quot;" target="_blank" rel="noopener">Grafana</a></li>' in page


def test_no_placeholder_is_left(tmp_path: Path) -> None:
    assert b"<!--" not in assemble({}, [], {})
    assert b"<!--" not in assemble({"things": write_part(tmp_path, "things")}, [], {})


@pytest.mark.parametrize(
    ("file", "type"),
    [("page.js", "text/javascript"), ("text.js", "text/javascript"), ("page.css", "text/css")],
)
async def test_a_file_of_a_part_is_sent_once(api: httpx.AsyncClient, folder: Path, file: str, type: str) -> None:
    path = f"/static/things/{file}"

    first = await api.get(path)

    assert (first.status_code, first.text) == (200, (folder / "things" / "page" / file).read_text())
    assert first.headers["content-type"] == f"{type}; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    again = await api.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        *("page.html", "private.txt", "inner", "inner/text.js", "inner%2ftext.js", "", ".", "..", "%2e%2e"),
        *("../private.txt", "..%2fprivate.txt", "%2e%2e%2fprivate.txt", "..%5cprivate.txt", "%00", "page.js%00"),
        *("../../berths/private.txt", "../berths/page/page.html", "/etc/passwd", "%2fetc%2fpasswd"),
    ],
)
async def test_other_files_are_not_found(api: httpx.AsyncClient, path: str) -> None:
    target = f"/static/things/{path}".encode()  # as it is, because the client would resolve the dots

    assert (await api.get("/", extensions={"target": target})).status_code == 404


async def test_files_of_a_part_that_does_not_exist_are_not_found(api: httpx.AsyncClient) -> None:
    assert (await api.get("/static/tides/page.js")).status_code == 404


def test_two_parts_with_one_name_are_an_error(tmp_path: Path) -> None:
    parts = [replace(things.DOMAIN, page=write_part(tmp_path / name, "things")) for name in ("one", "other")]

    with pytest.raises(ValueError, match="two domains have a part of the page with the same name"):
        page_parts(parts)
