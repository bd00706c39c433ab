"""The settings: frozen objects, read once from `SERVICE_*` variables.

`Settings` belongs to the service itself; each domain may have a `Group` of its own. `python -m service.settings`
prints the table of docs/configuration.md.
"""

import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError

PREFIX = "SERVICE_"

Seconds = Annotated[float, Field(ge=0, le=3600)]
PositiveSeconds = Annotated[float, Field(gt=0, le=3600)]
Lifetime = Annotated[float, Field(gt=0, le=366 * 86_400)]
Descriptor = Annotated[str, Field(pattern=r"^fd://\d+$")]
LogLevel = Literal["debug", "info", "warning", "error"]
Bind = Annotated[str, Field(pattern=r"^(.+:\d{1,5}|unix:.+|fd://\d+)$")]
_HOST, _PATH = r"https?://[A-Za-z0-9.:\[\]-]+", r"/[A-Za-z0-9._~%-][A-Za-z0-9._~%/-]*"
Issuer = Annotated[str, Field(pattern=rf"^({_HOST}/?|({_HOST})?{_PATH})$")]
Files = Annotated[
    tuple[Path, ...], BeforeValidator(lambda given: given.split(",") if isinstance(given, str) else given)
]
Link = Annotated[str, Field(pattern=r"^(https?://[^\s\x00-\x1f]+)?$")]


class SettingsError(Exception):
    """A `SERVICE_*` variable is unknown, or its value is invalid. The message names all such variables."""


class Group(BaseModel):
    """The settings of one domain. Each field is the variable `SERVICE_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


AnyGroup = TypeVar("AnyGroup", bound=Group)


class Settings(Group):
    """The settings of the service itself. Times are in seconds."""

    api_bind: Bind = Field("0.0.0.0:8000", description="Where the API listens: `host:port`, `unix:path`, `fd://n`")
    ops_bind: Bind = Field(
        "0.0.0.0:9000", description="Where the operations port listens: `/livez`, `/readyz`, `/metrics`"
    )
    name: str = Field("slipway", description="The service's name in `GET /`, logs and `application_name`")
    version: str = Field("dev", description="The version of the code; the image sets it")
    environment: str = Field("local", description="The deployment environment, as shown by `GET /`")
    instance: str = Field(
        default_factory=socket.gethostname, description="The replica's name; by default the host (pod) name"
    )
    identity: Literal["none", "gateway"] = Field(
        "none",
        description="`gateway`: the user of a request is whom the gateway names in `x-user` and the headers beside "
        "it; `none`: there are no users, and everyone sees everything",
    )
    identity_issuer: Issuer = Field(
        "/auth",
        description="With users: the identity provider (OpenID Connect) where the pages let them sign in; its "
        "address, as in `iss`, or a path behind the same ingress",
    )
    identity_client: str = Field(
        "slipway", min_length=1, description="The id that the pages have there, as a public client"
    )
    link_tilt: Link = Field("", description="Address of Tilt, for a link on the page at `/`; no link if empty")
    link_grafana: Link = Field("", description="The same for Grafana")
    link_prometheus: Link = Field("", description="The same for Prometheus")
    link_jaeger: Link = Field("", description="The same for Jaeger")

    database_url: str = Field(
        "postgresql://app_rw@localhost:5432/app",
        description="The database, as the role that reads and writes rows",
    )
    database_direct_url: str = Field(
        "",
        description="The same database for event streams, if `SERVICE_DATABASE_URL` leads to a pooler that shares "
        "connections between transactions",
    )
    database_standby_url: str = Field(
        "",
        description="Standbys of the database: lists, searches and exports are read there. A client reads what it "
        "wrote if it keeps the cookie `x-database-position`, or sends that header",
    )
    database_password: SecretStr | None = Field(None, description="Its password, kept out of the URL")
    database_password_files: Files = Field(
        (),
        description="Instead: files, separated by commas, that are read for each new connection. If the password of "
        "the first one is refused, the next one is tried; one that is not there is passed over",
    )
    database_owner_url: str = Field(
        "postgresql://app_owner@localhost:5432/app",
        description="The database, as the role that owns the schema; only `python -m service.migrate` uses it",
    )
    database_owner_password: SecretStr | None = Field(None, description="Its password, kept out of the URL")
    database_owner_password_files: Files = Field((), description="The same for this role")
    pool_size: int = Field(
        10, ge=1, le=1000, description="Maximum connections of the pool, opened as they are needed"
    )
    bulk_size: int = Field(
        2,
        ge=1,
        le=1000,
        description="Maximum streamed uploads and downloads at a time; each holds a connection of the pool",
    )
    acquire_timeout: PositiveSeconds = Field(2, description="Maximum wait for a connection, then 503")
    statement_timeout: PositiveSeconds = Field(5, description="Maximum duration of one statement, then 503")
    request_timeout: PositiveSeconds = Field(
        10, description="The deadline of a request that is not a stream, then 503"
    )
    stream_idle_timeout: PositiveSeconds = Field(
        30, description="Maximum time that the client of a stream may send or read nothing"
    )
    max_requests: int = Field(100, ge=1, description="Maximum requests at a time; further ones get 503 at once")
    max_streams: int = Field(
        2000, ge=1, description="Maximum open event streams and WebSockets; further ones get 503 at once"
    )
    max_body: int = Field(
        262_144,
        ge=1024,
        description="Maximum request body in bytes; a streamed upload has no limit. The gateway's limit is 327,680",
    )

    import_timeout: PositiveSeconds = Field(
        600,
        description="Maximum duration of an import; event streams wait for its end. The gateway's limit is 660",
    )
    heartbeat: PositiveSeconds = Field(15, description="Time between the heartbeats of an event stream")
    key_lifetime: Lifetime = Field(86_400, description="How long the answer to an `Idempotency-Key` is kept")
    event_lifetime: Lifetime = Field(86_400, description="How long an event stream can be resumed after an event")
    cleanup_interval: PositiveSeconds = Field(60, description="Time between two removals of expired keys and events")

    server: Literal["hypercorn", "uvicorn"] = Field(
        "hypercorn", description="The HTTP server; `uvicorn` needs `requirements/uvicorn.txt` and has no HTTP/2"
    )
    listen: Literal["immediately", "ready", "told"] = Field(
        "immediately",
        description="`ready`: accept no connection before the replica is ready; `told`: not before SIGUSR1 either",
    )
    give_connections: Descriptor | None = Field(
        None, description="`fd://n`, a Unix socket: after SIGHUP, idle connections are sent through it"
    )
    take_connections: Descriptor | None = Field(
        None, description="`fd://n`, the other end of such a socket: connections are received through it"
    )
    metrics_file: str | None = Field(
        None,
        description="A file in Prometheus's text format, written by a supervisor; its content is added to `/metrics`",
    )
    rehearsal_socket: str | None = Field(
        None,
        description="A Unix socket, named by a supervisor: through it the process that serves hands its last "
        "requests to a new one, which replays them before it is ready",
    )
    rehearsal_budget: Seconds = Field(
        0.15,
        description="Time in which it begins with requests; they get as long again. While others use the CPU it does "
        "not pass. 0 turns rehearsals off, and what the supervisor says of a reload's effects",
    )
    check_interval: PositiveSeconds = Field(1, description="Time between two checks of the database")
    check_failures: int = Field(3, ge=1, description="Consecutive failed checks after which the replica is unready")
    drain_delay: Seconds = Field(
        5, description="After SIGTERM: time in which `/readyz` fails while requests are still accepted"
    )
    shutdown_grace: Seconds = Field(15, description="After that: time for requests in flight to finish")

    log_level: LogLevel = Field(
        "info", description="Minimum log level; `PUT /log-level` on the operations port changes it"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`json` for machines, `text` for people; `auto` is text on a terminal"
    )

    _groups: dict[type[Group], Group] = PrivateAttr(default_factory=dict)

    @property
    def rehearses(self) -> bool:
        """Whether requests are kept for a rehearsal, and replayed."""
        return self.rehearsal_socket is not None and self.rehearsal_budget > 0

    def of(self, group: type[AnyGroup]) -> AnyGroup:
        """The settings of a domain, or its defaults if its group was not loaded."""
        found = self._groups.get(group)
        return found if isinstance(found, group) else group()


def load(environment: Mapping[str, str], groups: Sequence[type[Group]] = (), *, strict: bool = True) -> Settings:
    """Build the settings from the `SERVICE_*` variables of `environment`.

    Raises SettingsError, which names every variable that is invalid and, if `strict`, every one that is unknown.
    """
    return build(
        {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)},
        groups,
        strict=strict,
    )


def build(values: Mapping[str, object], groups: Sequence[type[Group]] = (), *, strict: bool = True) -> Settings:
    """Build the settings from values by field name. Raises as load() does."""
    made: dict[type[Group], Group] = {}
    problems: list[str] = []
    known: set[str] = set()
    every: tuple[type[Group], ...] = (Settings, *groups)
    for group in every:
        known |= group.model_fields.keys()
        try:
            made[group] = group.model_validate({n: values[n] for n in group.model_fields if n in values})
        except ValidationError as error:
            problems += (f"{PREFIX}{str(wrong['loc'][0]).upper()}: {wrong['msg']}" for wrong in error.errors())
    if strict:
        problems += (
            f"{PREFIX}{name.upper()} is not a setting: `python -m service.settings` lists them"
            for name in values.keys() - known
        )
    if problems:
        raise SettingsError("; ".join(problems))
    settings = made.pop(Settings)
    assert isinstance(settings, Settings)  # noqa: S101 - for the type checker
    settings._groups.update(made)
    return settings


def table(groups: Sequence[type[Group]] = ()) -> str:
    """The settings as a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    every: tuple[type[Group], ...] = (Settings, *groups)
    for group in every:
        for name, field in group.model_fields.items():
            default = "" if field.default in (None, "", ()) or field.default_factory else f"`{field.get_default()}`"
            rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    # Here, because service.app imports this module.
    from service.app import SETTINGS_GROUPS

    sys.stdout.write(table(SETTINGS_GROUPS) + "\n")
