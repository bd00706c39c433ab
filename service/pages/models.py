"""The shape of `GET /`."""

from typing import Literal

from pydantic import BaseModel


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
