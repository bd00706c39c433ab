"""The probe domain takes the place of the domains of a project, whichever they are."""

import pytest

from tests.probe.project import with_things
from workbench.machine.folders import ROOT

OF_NO_DOMAIN = """\
from quart import Quart

from service.domain import Domain

DOMAINS: tuple[Domain, ...] = ()
"""
OF_MANY_DOMAINS = """\
from quart import Quart

from service import (
    orders,
    pages,
)
from service.domain import Domain

DOMAINS: tuple[Domain, ...] = (
    orders.DOMAIN,
    pages.DOMAIN,
)
"""
OF_THINGS = """\
from quart import Quart

from service import things
from service.domain import Domain

DOMAINS = (things.DOMAIN,)
"""


@pytest.mark.parametrize("app", [OF_NO_DOMAIN, OF_MANY_DOMAINS])
def test_things_become_the_only_domain(app: str) -> None:
    assert with_things(app) == OF_THINGS


def test_things_become_the_only_domain_of_this_project() -> None:
    app = with_things((ROOT / "service" / "app.py").read_text())
    assert [line for line in app.splitlines() if line.startswith("from service import")] == [
        "from service import things"
    ]
    assert [line for line in app.splitlines() if line.startswith("DOMAINS")] == ["DOMAINS = (things.DOMAIN,)"]


@pytest.mark.parametrize(
    ("app", "line"),
    [
        (OF_NO_DOMAIN.replace("DOMAINS", "PARTS"), r"`DOMAINS: tuple\[Domain, \.\.\.\] = \(\.\.\.\)`"),
        (OF_NO_DOMAIN.replace("from service.", "from ."), "`from service.X import Y`"),
    ],
)
def test_a_line_that_is_missing_is_an_error(app: str, line: str) -> None:
    with pytest.raises(LookupError, match=rf"^service/app\.py has no line {line}: adapt the patterns in project\.py"):
        with_things(app)
