"""The routes of the service, for tests that go through all of them, whatever domains there are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quart import Quart

from service.app import DOMAINS, create_app
from service.domain import Domain
from service.settings import load
from service.web.endpoint import Endpoint, endpoint_of, is_owned
from tests.service.serving import PROBE

ALL_DOMAINS: Sequence[Domain] = (*PROBE, *DOMAINS)
"""The probe domain and the registered ones."""

_PARAMETER = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>")
_SOME_ID = "01890000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path template; `endpoint` is None if Quart answers."""

    method: str
    template: str
    endpoint: Endpoint | None
    owned: bool = False
    """Whether what it reads and writes belongs to users."""

    @property
    def described_path(self) -> str:
        """The template as `/openapi.json` has it."""
        return _PARAMETER.sub(r"{\g<name>}", self.template)

    def path(self, parameters: Mapping[str, Any] | None = None) -> str:
        """A path of this route, with made-up values for the missing parameters."""

        def value(found: re.Match[str]) -> str:
            made_up = _SOME_ID if found["converter"] == "uuid" else "1"
            return str((parameters or {}).get(found["name"], made_up))

        return _PARAMETER.sub(value, self.template)

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def routes_of(quart: Quart) -> list[Route]:
    """All routes but HEAD and OPTIONS, which follow from the others."""
    return [
        Route(method, rule.rule, endpoint_of(view), is_owned(view))
        for rule in quart.url_map.iter_rules()
        for view in [quart.view_functions[rule.endpoint]]
        for method in sorted(rule.methods or ())
        if method not in {"HEAD", "OPTIONS"}
    ]


def declared(domains: Sequence[Domain] = ALL_DOMAINS) -> list[Route]:
    """The routes of these domains, as parameters of tests."""
    return routes_of(create_app(load({}), domains=domains).quart)
