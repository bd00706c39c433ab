"""Compares what the service acknowledged with what is stored: nothing lost, nothing done twice."""

import json
from collections import defaultdict
from collections.abc import AsyncIterable
from dataclasses import dataclass, field

Stored = tuple[str, str]
"""The path and the body of a note."""


@dataclass(slots=True)
class Entry:
    """One note of the recorder, and what may be stored of it, given the answers and the missing answers."""

    title: str
    key: str = ""
    """The Idempotency-Key of its creation; empty if there was none."""
    path: str = ""
    """Set by the answer to its creation."""
    bodies: set[str] = field(default_factory=lambda: {""})
    """Several, if the answer to a change is missing: then the change may or may not have been made."""
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
    """Notes whose stored state contradicts an answer: missing, with another body, or present after a deletion."""
    duplicated: list[str]
    """Stored more than once."""
    unsettled: list[str]
    """Created with a key, but not acknowledged in the end."""


@dataclass(slots=True)
class Ledger:
    """The entries of one run. Titles are unique, so two notes with one title mean that a request was done twice."""

    run: str
    entries: list[Entry] = field(default_factory=list)

    def open(self, *, with_key: bool) -> Entry:
        title = f"{self.run} {len(self.entries)}"
        entry = Entry(title, key=title.replace(" ", "-") if with_key else "")
        self.entries.append(entry)
        return entry

    async def check(self, exported: AsyncIterable[str]) -> Verdict:
        """Compares the entries with the lines of an export."""
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
