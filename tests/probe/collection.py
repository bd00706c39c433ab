"""The collection that the tests write and read under load."""

import os
from dataclasses import dataclass
from typing import Self

from harness.openapi import collections, description

_BELOW = {"import", "export", "events"}


class NoCollection(ValueError):
    """There is no collection to write; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of the API, with import, export and events below it, as the probe's things are."""

    path: str
    field: str
    """The field of a member that clients write. It is a text, and no other field is required."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `/path:field`. Raises NoCollection."""
        path, colon, field = text.partition(":")
        if not (path.startswith("/") and colon and field):
            raise NoCollection(f"COLLECTION={text} is not a path and a field, such as /things:name")
        return cls(path, field)

    @classmethod
    async def of(cls, url: str) -> Self:
        """That of the variable COLLECTION, or the first one that the service at `url` describes.

        Raises NoCollection if it describes none, or if COLLECTION is wrong.
        """
        if named := os.environ.get("COLLECTION"):
            return cls.parse(named)
        for found in collections(await description(url)):
            if found.text_field and found.below >= _BELOW:
                return cls(found.path, found.text_field)
        raise NoCollection(
            f"{url}/openapi.json describes no collection whose members need a text and nothing else, with "
            "/import, /export and /events below it: name one that takes such members, COLLECTION=/path:field"
        )

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
