"""The shapes of requests and responses; `/openapi.json` is made from them."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.resource.fields import STORABLE, ImportedVersion, Time, Version, now, uuid7
from service.resource.paging import Page, PageQuery

Title = Annotated[str, Field(min_length=1, max_length=200), STORABLE]
Body = Annotated[str, Field(max_length=10_000), STORABLE]


class NoteContent(BaseModel):
    """The fields of a note that clients write."""

    model_config = ConfigDict(extra="forbid")

    title: Title = Field(examples=["Launch"])
    body: Body = Field("", examples=["At high tide."])


class Note(BaseModel):
    """A note as it is stored."""

    id: UUID
    title: Title
    body: Body
    version: Version = Field(description="Rises by one with each change; in quotes it is the ETag")
    created_at: AwareDatetime
    updated_at: AwareDatetime


class NotePage(Page[Note]):
    """One page of notes, newest first."""


class ImportedNote(BaseModel):
    """One line of an import: a line of an export, or only a title and a body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: UUID = Field(default_factory=uuid7)
    title: Title
    body: Body = ""
    version: ImportedVersion = 1
    created_at: Time = Field(default_factory=now)
    updated_at: Time | None = Field(None, description="By default the same as `created_at`")

    def record(self) -> tuple[object, ...]:
        """The values of the columns that store.IMPORT names."""
        updated_at = self.updated_at or self.created_at
        return self.id, self.title, self.body, self.version, self.created_at, updated_at


class ListQuery(PageQuery):
    """The parameters of `GET /notes`."""

    q: Title | None = Field(
        None,
        description='Words to search for; `"a phrase"`, `or` and `-without` work as in search engines',
    )
