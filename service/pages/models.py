"""The shape of `GET /`."""

from typing import Literal

from pydantic import BaseModel, Field


class DatabaseStatus(BaseModel):
    """The database, as the last readiness check found it."""

    status: Literal["available", "unavailable"]
    version: str | None


class Root(BaseModel):
    """Which service answers, in which version and on which replica."""

    service: str
    version: str
    environment: str
    instance: str
    database: DatabaseStatus
    links: dict[str, str]
    receipt: str | None = Field(None, description="Only under live reload: what the last save has changed")
