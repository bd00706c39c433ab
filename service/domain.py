"""What a domain hands to app.py. A domain is a part of the API, and the rest of the service ignores it."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quart import Blueprint

from service.database.pool import Database
from service.database.readiness import Readiness
from service.lifecycle import Lifecycle
from service.resource.feeds import Feeds
from service.settings import Group, Settings
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Machinery:
    """What app.py makes once and hands to every domain."""

    settings: Settings
    lifecycle: Lifecycle
    metrics: Metrics
    """A domain registers metrics of its own in `metrics.registry`."""
    database: Database
    readiness: Readiness
    feeds: Feeds
    """`feeds.of(table)` is the event stream of a table."""
    links: Mapping[str, str]
    """The links of all domains, as `GET /` shows them."""
    parts: Mapping[str, Path]
    """The parts of the page at `/`, as page_parts() returns them."""


@dataclass(frozen=True, slots=True)
class Built:
    """A domain, built for one application."""

    blueprint: Blueprint
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """Background tasks, which start with the service and are cancelled when it stops."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What a package in `service/domains/` defines as `DOMAIN`."""

    build: Callable[[Machinery], Built]
    """Makes what the application consists of. Reads files of the domain at most, and does no other I/O."""
    summary: str = ""
    """A sentence for the description of the API."""
    settings: type[Group] | None = None
    """The group of its own SERVICE_* variables; `machinery.settings.of(group)` returns their values."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Entry points of the API: the path by the name that `GET /` shows."""
    owned: bool = False
    """Whether its rows belong to users; its migration calls own_rows(). Otherwise they are public."""
    page: Path | None = None
    """Its part of the page at `/`: a folder in a folder whose name, NAME, no other domain uses.

    `page.html` is shown below the strip, in `<div id="NAME-part">`. `page.css` and `page.js`, a module, are loaded if
    they exist. These and all other files in the folder itself are at `/static/NAME/`. Nothing may be inline, because
    the policy of the page forbids it.

    The parts of all domains share one page. So ids begin with `NAME-`, and styles are nested in `#NAME-part { }`.
    Modules send their requests with `/static/client.js`: then they are repeated, and each one is a mark on the strip.
    If there are users, they also have the user's token, and `session.keep` keeps what is typed through a sign-in.
    """


def settings_groups(domains: Sequence[Domain]) -> tuple[type[Group], ...]:
    """The settings groups of these domains. Raises ValueError if two groups have a setting of the same name."""
    groups = tuple(domain.settings for domain in domains if domain.settings is not None)
    owners: dict[str, type[Group]] = {}
    every: tuple[type[Group], ...] = (Settings, *groups)
    for group in every:
        for name in group.model_fields:
            if owners.setdefault(name, group) is not group:
                raise ValueError(
                    f"SERVICE_{name.upper()} is a setting of {owners[name].__name__} and of {group.__name__}: "
                    "rename one of them"
                )
    return groups


def links_of(domains: Sequence[Domain]) -> dict[str, str]:
    """The links of these domains: paths by name. Raises ValueError if two domains have a link of the same name."""
    links: dict[str, str] = {}
    for domain in domains:
        for name, path in domain.links.items():
            if links.setdefault(name, path) != path:
                raise ValueError(f"the link {name!r} leads to {links[name]} and to {path}: rename one of them")
    return links


def page_parts(domains: Sequence[Domain]) -> dict[str, Path]:
    """The folders of their parts of the page by name. Raises ValueError if two have the same name."""
    folders = [domain.page for domain in domains if domain.page is not None]
    parts = {folder.parent.name: folder for folder in folders}
    if len(parts) < len(folders):
        raise ValueError(f"two domains have a part of the page with the same name: {sorted(map(str, folders))}")
    return parts
