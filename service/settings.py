"""The settings: one frozen object, read once from `SERVICE_*` variables.

`python -m service.settings` prints the table of the README.
"""

import socket
import sys
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

PREFIX = "SERVICE_"

Seconds = Annotated[float, Field(ge=0, le=3600)]
PositiveSeconds = Annotated[float, Field(gt=0, le=3600)]
Lifetime = Annotated[float, Field(gt=0, le=366 * 86_400)]
Descriptor = Annotated[str, Field(pattern=r"^fd://\d+$")]
Link = Annotated[str, Field(pattern=r"^(https?://[^\s\x00-\x1f]+)?$")]
LogLevel = Literal["debug", "info", "warning", "error"]
Bind = Annotated[str, Field(pattern=r"^(.+:\d{1,5}|unix:.+|fd://\d+)$")]


class SettingsError(Exception):
    """The environment holds a `SERVICE_*` variable that is unknown or has a value that cannot be used."""


class Settings(BaseModel):
    """What can be configured. Each field is the variable `SERVICE_<FIELD>`; times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_bind: Bind = Field("0.0.0.0:8000", description="Where the API listens: `host:port`, `unix:path`, `fd://n`")
    ops_bind: Bind = Field("0.0.0.0:9000", description="Where `/livez`, `/readyz` and `/metrics` listen")
    name: str = Field("slipway", description="The service's name in `GET /`, logs and `application_name`")
    version: str = Field("dev", description="The version of the code; the image sets it")
    environment: str = Field("local", description="Where it runs, as shown by `GET /`")
    instance: str = Field(
        default_factory=socket.gethostname, description="The replica's name; the host (pod) name if not set"
    )

    database_url: str = Field(
        "postgresql://app_rw@localhost:5432/app",
        description="The database, as the role that reads and writes rows",
    )
    database_password: SecretStr | None = Field(None, description="Its password, kept out of the URL")
    database_owner_url: str = Field(
        "postgresql://app_owner@localhost:5432/app",
        description="The database, as the role that owns the schema; used by `python -m service.migrate` only",
    )
    database_owner_password: SecretStr | None = Field(None, description="Its password, kept out of the URL")
    pool_size: int = Field(10, ge=1, le=1000, description="Most connections of the pool, opened as they are needed")
    bulk_size: int = Field(
        2,
        ge=1,
        le=1000,
        description="Most imports and exports at a time; each holds a connection of the pool",
    )
    acquire_timeout: PositiveSeconds = Field(2, description="Longest wait for a connection, then 503")
    statement_timeout: PositiveSeconds = Field(5, description="Longest run of one statement, then 503")
    request_timeout: PositiveSeconds = Field(10, description="Longest run of a request that is no stream, then 503")
    stream_idle_timeout: PositiveSeconds = Field(
        30, description="Longest silence of a client that sends an import or reads an export"
    )
    import_timeout: PositiveSeconds = Field(
        600,
        description="Longest import, for whose end `/notes/events` waits. The gateway's limit is 660",
    )
    max_requests: int = Field(100, ge=1, description="Most requests at a time; the next gets 503 at once")
    max_streams: int = Field(2000, ge=1, description="Most open `/notes/events` streams; the next gets 503 at once")
    max_body: int = Field(
        262_144,
        ge=1024,
        description="Largest request body in bytes; an import has no limit. The gateway's limit is 327,680",
    )
    heartbeat: PositiveSeconds = Field(15, description="Time between the heartbeats of `/notes/events`")
    key_lifetime: Lifetime = Field(86_400, description="How long the answer to an `Idempotency-Key` is kept")
    event_lifetime: Lifetime = Field(86_400, description="How long `/notes/events` can be resumed after an event")
    cleanup_interval: PositiveSeconds = Field(60, description="Time between two removals of what is older")

    link_tilt: Link = Field("", description="Where the page links to Tilt; no link if empty")
    link_grafana: Link = Field("", description="The same for Grafana")
    link_prometheus: Link = Field("", description="The same for Prometheus")
    link_jaeger: Link = Field("", description="The same for Jaeger")

    server: Literal["hypercorn", "uvicorn"] = Field(
        "hypercorn", description="What speaks HTTP; `uvicorn` needs `requirements/uvicorn.txt` and has no HTTP/2"
    )
    listen: Literal["immediately", "ready", "told"] = Field(
        "immediately",
        description="`ready`: accept nothing before the replica is ready; `told`: and not before SIGUSR1",
    )
    give_connections: Descriptor | None = Field(
        None, description="`fd://n`, a socket: after SIGHUP, idle connections are given away through it"
    )
    take_connections: Descriptor | None = Field(
        None, description="`fd://n`, its other end: connections that another process gives away"
    )
    metrics_file: str | None = Field(
        None, description="A file in Prometheus's text format, added to `/metrics`: what a supervisor knows"
    )
    check_interval: PositiveSeconds = Field(1, description="Time between two checks of the database")
    check_failures: int = Field(3, ge=1, description="Failed checks in a row that make the replica not ready")
    drain_delay: Seconds = Field(
        5, description="After SIGTERM: time in which `/readyz` fails while requests are still accepted"
    )
    shutdown_grace: Seconds = Field(15, description="After that: time for requests in flight to finish")

    log_level: LogLevel = Field(
        "info", description="Least severe log level; `PUT /log-level` on the ops port changes it"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`json` for machines, `text` for people; `auto` is text on a terminal"
    )


def load(environment: Mapping[str, str]) -> Settings:
    """Build the settings from the `SERVICE_*` variables of `environment`.

    Raises SettingsError naming every variable that is unknown or wrong.
    """
    values = {
        name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explain(problem["loc"], problem["msg"]) for problem in error.errors())
        ) from None


def _explain(location: tuple[int | str, ...], message: str) -> str:
    variable = PREFIX + str(location[0]).upper()
    if str(location[0]) not in Settings.model_fields:
        return f"{variable} is not a setting: `python -m service.settings` lists them"
    return f"{variable}: {message}"


def table() -> str:
    """The settings as a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") or field.default_factory else f"`{field.get_default()}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
