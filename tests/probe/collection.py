"""The collection that the tests write and read under load."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of the API, with import, export and events below it, as the probe's things are."""

    path: str
    field: str
    """The field of a member that clients write. It is a text, and no other field is required."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `/path:field`. Raises ValueError."""
        path, colon, field = text.partition(":")
        if not (path.startswith("/") and colon and field):
            raise ValueError(f"{text!r} is not a collection such as /things:name")
        return cls(path, field)

    def __str__(self) -> str:
        return f"{self.path}:{self.field}"

    @property
    def table(self) -> str:
        """The table on a workbench, in the schema `app`."""
        return f"app.{self.path.removeprefix('/')}"

    def body(self, text: str) -> dict[str, str]:
        """The JSON that creates or replaces a member."""
        return {self.field: text}


THINGS = Collection("/things", "name")
