"""The shape of `GET /`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class DatabaseStatus(BaseModel):
    """The database, as last seen."""

    status: Literal["available", "unavailable"]
    version: str | None


class Root(BaseModel):
    """Which service answers, and from where."""

    service: str
    version: str
    environment: str
    instance: str
    database: DatabaseStatus
    links: dict[str, str]


class NoQuery(BaseModel):
    """No parameters: an unknown one is an error, not a typo without effect."""

    model_config = ConfigDict(extra="forbid")
