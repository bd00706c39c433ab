"""What a domain hands to app.py. A domain is a package with a part of the API, unknown to the rest of the service."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quart import Blueprint

from service.database.pool import Database
from service.database.readiness import Readiness
from service.lifecycle import Lifecycle
from service.settings import Group, Settings
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Machinery:
    """What app.py makes for all domains."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    """A domain registers its own metrics in `metrics.registry`."""
    database: Database
    readiness: Readiness
    links: Mapping[str, str]
    """The links of all domains, as `GET /` shows them."""


@dataclass(frozen=True, slots=True)
class Built:
    """A domain, built for one application."""

    blueprint: Blueprint
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """Background tasks, started with the service and cancelled at its end."""


@dataclass(frozen=True, slots=True)
class Domain:
    """One registration, in `DOMAINS` of app.py."""

    build: Callable[[Machinery], Built]
    """Makes the parts of the domain. Does no I/O."""
    summary: str = ""
    """One sentence for the API's description."""
    settings: type[Group] | None = None
    """Its own SERVICE_* variables; `machinery.settings.of(...)` has their values."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Entry points of the API, name and path."""


def settings_groups(domains: Sequence[Domain]) -> tuple[type[Group], ...]:
    """The settings groups of these domains."""
    return tuple(domain.settings for domain in domains if domain.settings is not None)
