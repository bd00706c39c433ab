"""Compares what the service acknowledged with what is stored: nothing lost, nothing done twice."""

import json
from collections import defaultdict
from collections.abc import AsyncIterable
from dataclasses import dataclass, field

from tests.probe.collection import Collection

Stored = tuple[str, str]
"""The path and the text of a member."""


@dataclass(slots=True)
class Entry:
    """One member of the recorder, and what may be stored of it, given the answers and the missing answers."""

    text: str
    """The text with which it is created."""
    key: str = ""
    """The Idempotency-Key of its creation; empty if there was none."""
    path: str = ""
    """Set by the answer to its creation."""
    texts: set[str] = field(default_factory=set)
    """Several, if the answer to a change is missing: then the change may or may not have been made."""
    may_be_there: bool = True
    may_be_gone: bool = True

    def __post_init__(self) -> None:
        self.texts.add(self.text)

    def created(self, path: str) -> None:
        self.path = path
        self.may_be_gone = False

    def changing(self) -> str:
        """Returns the new text."""
        self.texts.add(f"{self.text} changed")
        return f"{self.text} changed"

    def changed(self) -> None:
        self.texts = {f"{self.text} changed"}

    def deleting(self) -> None:
        self.may_be_gone = True

    def deleted(self) -> None:
        self.may_be_there = False


@dataclass(frozen=True, slots=True)
class Verdict:
    acknowledged: int
    """Members whose creation was acknowledged."""
    lost: list[str]
    """Members whose stored state contradicts an answer: missing, with another text, or present after a deletion."""
    duplicated: list[str]
    """Stored more than once."""
    unsettled: list[str]
    """Created with a key, but not acknowledged in the end."""


@dataclass(slots=True)
class Ledger:
    """The entries of one run. Each text has a number of its own: if two members have it, a request was done twice."""

    run: str
    """A word with which the texts begin; the number follows."""
    collection: Collection
    entries: list[Entry] = field(default_factory=list)

    def open(self, *, with_key: bool) -> Entry:
        text = f"{self.run} {len(self.entries)}"
        entry = Entry(text, key=text.replace(" ", "-") if with_key else "")
        self.entries.append(entry)
        return entry

    async def check(self, exported: AsyncIterable[str]) -> Verdict:
        """Compares the entries with the lines of an export."""
        stored: defaultdict[str, list[Stored]] = defaultdict(list)
        async for line in exported:
            member = json.loads(line)
            text = member[self.collection.field]
            if text.startswith(f"{self.run} "):
                stored[text.removesuffix(" changed")].append((f"{self.collection.path}/{member['id']}", text))
        return Verdict(
            acknowledged=sum(1 for entry in self.entries if entry.path),
            lost=[f"{entry} but {found}" for entry in self.entries if not _holds(entry, found := stored[entry.text])],
            duplicated=[entry.text for entry in self.entries if len(stored[entry.text]) > 1],
            unsettled=[entry.text for entry in self.entries if entry.key and not entry.path],
        )


def _holds(entry: Entry, found: list[Stored]) -> bool:
    if not found:
        return entry.may_be_gone
    return entry.may_be_there and all(text in entry.texts and entry.path in {"", path} for path, text in found)
