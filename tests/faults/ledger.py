"""What a service has acknowledged, and whether it is true: nothing lost, nothing done twice."""

import json
from collections import defaultdict
from collections.abc import AsyncIterable
from dataclasses import dataclass, field

Stored = tuple[str, str]
"""A note's path and its body."""


@dataclass(slots=True)
class Entry:
    """One note of the recorder's: what may be stored of it after all that was answered, and all that was not."""

    title: str
    key: str = ""
    """The Idempotency-Key it was created with; empty if it was created without."""
    path: str = ""
    """Set by the answer to its creation."""
    bodies: set[str] = field(default_factory=lambda: {""})
    """A change whose answer never came may have been made or not: then both are right."""
    may_be_there: bool = True
    may_be_gone: bool = True

    def created(self, path: str) -> None:
        self.path = path
        self.may_be_gone = False

    def changing(self, body: str) -> None:
        self.bodies.add(body)

    def changed(self, body: str) -> None:
        self.bodies = {body}

    def deleting(self) -> None:
        self.may_be_gone = True

    def deleted(self) -> None:
        self.may_be_there = False


@dataclass(frozen=True, slots=True)
class Verdict:
    acknowledged: int
    """Notes whose creation was acknowledged."""
    lost: list[str]
    """Acknowledged, and not so: what is missing, has another body, or is there after its deletion."""
    duplicated: list[str]
    """Stored more than once."""
    unsettled: list[str]
    """Created with a key, and not acknowledged in the end."""


@dataclass(slots=True)
class Ledger:
    """The entries of one run. Titles are unique, so that a second note with one of them is a request done twice."""

    run: str
    entries: list[Entry] = field(default_factory=list)

    def open(self, *, with_key: bool) -> Entry:
        title = f"{self.run} {len(self.entries)}"
        entry = Entry(title, key=title.replace(" ", "-") if with_key else "")
        self.entries.append(entry)
        return entry

    async def check(self, exported: AsyncIterable[str]) -> Verdict:
        """Compares with the lines of an export."""
        stored: defaultdict[str, list[Stored]] = defaultdict(list)
        async for line in exported:
            note = json.loads(line)
            if note["title"].startswith(f"{self.run} "):
                stored[note["title"]].append((f"/notes/{note['id']}", note["body"]))
        return Verdict(
            acknowledged=sum(1 for entry in self.entries if entry.path),
            lost=[
                f"{entry} but {found}" for entry in self.entries if not _holds(entry, found := stored[entry.title])
            ],
            duplicated=[entry.title for entry in self.entries if len(stored[entry.title]) > 1],
            unsettled=[entry.title for entry in self.entries if entry.key and not entry.path],
        )


def _holds(entry: Entry, found: list[Stored]) -> bool:
    if not found:
        return entry.may_be_gone
    return entry.may_be_there and all(body in entry.bodies and entry.path in {"", path} for path, body in found)
