"""What a supervisor says of the code: which version serves, and which one it refused last, and why.

The supervisor writes it to the file that RELOAD_VERDICT_FILE names, for `make live`.
"""

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from workbench.reload.receipt import NOTHING, Receipt

FILE = "RELOAD_VERDICT_FILE"

_PLACE = re.compile(r"(?P<file>\S+):(?P<line>\d+): (?P<error>.*)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version does not serve. `why` is one line, with file and line where there are some."""

    version: str
    why: str
    at: float
    """When it was refused, in seconds since 1970."""

    def place(self) -> dict[str, str | int]:
        """`file`, `line` and `error`; only `error` if it has no place."""
        found = _PLACE.search(self.why)
        return {**found.groupdict(), "line": int(found["line"])} if found else {"error": self.why}


@dataclass(frozen=True, slots=True)
class Verdict:
    serving: str = ""
    """The version, or "" if nothing serves."""
    seconds: float = 0.0
    """How long its reload took, from the save to the first answer; 0.0 if it was no reload."""
    refused: Refusal | None = None
    git: str = ""
    """The folder with git's HEAD, if the database follows the branch."""
    branch: str | None = None
    """The branch whose database is in use, or None if HEAD was no branch."""
    receipt: Receipt = NOTHING
    """What its reload has changed."""

    def encode(self) -> str:
        return json.dumps(asdict(self))

    def refuses(self, version: str, changed: float) -> Refusal | None:
        """The refusal of this version, unless its variables have `changed` since (seconds since 1970)."""
        refused = self.refused
        return refused if refused and refused.version == version and refused.at >= changed else None


def decode(text: str) -> Verdict:
    """Nothing serves if the text is no verdict: the supervisor has not written one yet."""
    with suppress(ValueError, KeyError, TypeError):
        fields: Mapping[str, Any] = json.loads(text)
        refused = fields["refused"] and Refusal(**fields["refused"])
        receipt = Receipt(**fields["receipt"])
        return Verdict(fields["serving"], fields["seconds"], refused, fields["git"], fields["branch"], receipt)
    return Verdict()


class VerdictFile:
    """Where the supervisor keeps its verdict; without a path it is kept nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._tried = ""
        self._seen: tuple[str, str | None] = "", None
        self._verdict = Verdict()
        self._write()

    def tries(self, version: str, seen: tuple[str, str | None] = ("", None)) -> None:
        """What follows is about this version, until another one is tried. `seen` is git's folder, and the branch."""
        self._tried, self._seen = version, seen

    def still_serves(self) -> None:
        """What was tried serves already."""
        self._become(replace(self._verdict, git=self._seen[0], branch=self._seen[1]))

    def serves(self, version: str, seconds: float = 0.0, receipt: Receipt = NOTHING) -> None:
        self._become(Verdict(version, seconds, None, *self._seen, receipt))

    def refuses(self, why: str, serving: str = "") -> None:
        """The version that was tried does not serve; `serving` does, or nothing if it is ""."""
        before = self._verdict
        refusal = Refusal(self._tried, why, time.time())
        self._become(Verdict(serving, 0.0, refusal, before.git or self._seen[0], before.branch))

    def _become(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        with suppress(OSError):  # the supervisor's lines say the same
            new.write_text(self._verdict.encode())
            new.rename(self._path)
