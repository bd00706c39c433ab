"""What two domains cannot both have, and what a folder of service/domains/ must have, is an error at the start."""

from dataclasses import replace
from pathlib import Path

import pytest
from quart import Blueprint

import service.domains
from service.app import create_app, find_domains
from service.domain import Built, Domain, Machinery
from service.settings import load
from service.web.answer import Answer
from service.web.endpoint import endpoint
from service.web.routing import DuplicateRouteError
from tests.probe import things


def domain(name: str, path: str) -> Domain:
    """A domain with one route."""

    def build(machinery: Machinery) -> Built:
        routes = Blueprint(name, __name__)

        @routes.get(path)
        @endpoint()
        async def view() -> Answer:
            return Answer(200)

        return Built(routes)

    return Domain(build)


@pytest.mark.parametrize(
    ("first", "second"), [("/ships", "/ships"), ("/ships/<uuid:ship_id>", "/ships/<uuid:id>"), ("/<a>", "/<b>")]
)
def test_two_routes_for_the_same_requests(first: str, second: str) -> None:
    with pytest.raises(DuplicateRouteError, match=r"^GET \S+ is a route of .* and of .*: give one another path$"):
        create_app(load({}), domains=[domain("ships", first), domain("boats", second)])


@pytest.mark.parametrize(
    ("first", "second"),
    [("/ships", "/boats"), ("/ships/<uuid:id>", "/ships/<int:id>"), ("/ships/a", "/ships/<id>")],
)
def test_routes_for_different_requests(first: str, second: str) -> None:
    create_app(load({}), domains=[domain("ships", first), domain("boats", second)])


async def test_a_url_can_be_built() -> None:
    quart = create_app(load({}), domains=[domain("ships", "/ships/<int:number>")]).quart

    async with quart.test_request_context("/"):
        assert quart.url_for("ships.view", number=7) == "/ships/7"
        assert quart.url_for("ships.view", number=7, full="a") == "/ships/7?full=a"


def test_two_links_of_the_same_name() -> None:
    domains = [replace(things.DOMAIN, links={"ships": path}) for path in ("/ships", "/boats")]

    with pytest.raises(ValueError, match=r"^the link 'ships' leads to /ships and to /boats: rename one of them$"):
        create_app(load({}), domains=domains)


def test_a_module_without_a_domain_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zz_helpers.py").write_text("")
    monkeypatch.setattr(service.domains, "__path__", [str(tmp_path)])

    with pytest.raises(TypeError, match=r"^service\.domains\.zz_helpers has no DOMAIN of the class Domain"):
        find_domains()


def test_a_folder_without_python_files_is_no_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays, with its bytecode, if another branch has the domain."""
    (tmp_path / "zz_gone" / "__pycache__").mkdir(parents=True)
    monkeypatch.setattr(service.domains, "__path__", [str(tmp_path)])

    assert len(find_domains()) == 1, "the pages"
