"""The collection that the tests of a cluster write, if nobody says which one."""

import pytest

from tests.faults.site import Site
from tests.probe.collection import THINGS, Collection, NoCollection


async def test_it_is_found_in_the_description_of_the_service(
    workbench: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLLECTION", raising=False)

    assert await Collection.of(workbench.url) == THINGS


async def test_it_can_be_named(workbench: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTION", "/others:title")

    assert await Collection.of(workbench.url) == Collection("/others", "title")


@pytest.mark.parametrize("named", ["/others", "others:title", "/others:"])
async def test_a_name_without_a_field_is_an_error(
    workbench: Site, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("COLLECTION", named)

    with pytest.raises(NoCollection, match=f"^COLLECTION={named} is not a path and a field, such as /things:name$"):
        await Collection.of(workbench.url)
