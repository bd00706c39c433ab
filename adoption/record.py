"""The record of an adopted copy: which version of which project it has, and the arguments of its adoption."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adoption.errors import AdoptionError

PATH = "adoption/upstream.toml"

_TEXT = """\
# What this project comes from. `make upgrade` reads and writes this file: leave it as it is.
[upstream]
name = {name}
version = {version}
repository = {repository}
commit = {commit}

# The arguments of `make adopt`. `make upgrade EXAMPLE=drop` changes one of them, and all that depends on it.
[arguments]
"""


@dataclass(frozen=True)
class Record:
    """The upstream's name and version, the address it was cloned from ("" if unknown), and its commit.

    `arguments` has NAME, TITLE, REPOSITORY, EXAMPLE and IDENTITY, all of them given or filled in. Earlier versions
    recorded no IDENTITY.
    """

    name: str
    version: str
    repository: str
    commit: str
    arguments: Mapping[str, str]

    @property
    def release(self) -> str:
        """The version in a few characters, for messages."""
        return f"{self.name} {self.version} ({self.commit[:7]})"

    @classmethod
    def parse(cls, text: str) -> "Record":
        """The record in the text of its file."""
        try:
            found = tomllib.loads(text)
            return cls(**found["upstream"], arguments=found["arguments"])
        except (ValueError, TypeError, KeyError) as error:
            raise AdoptionError(f"{PATH} is not what an adoption wrote: {error}: restore it from git") from error

    @classmethod
    def read(cls, root: Path) -> "Record | None":
        """The record of the project at `root`; None if it is no adopted copy."""
        file = root / PATH
        return cls.parse(file.read_text(encoding="utf-8")) if file.exists() else None

    def text(self) -> str:
        upstream = ("name", "version", "repository", "commit")
        lines = (f"{name} = {_quoted(value)}\n" for name, value in self.arguments.items())
        return _TEXT.format(**{name: _quoted(getattr(self, name)) for name in upstream}) + "".join(lines)


def _quoted(value: str) -> str:
    return json.dumps(
        value, ensure_ascii=False
    )  # a string of JSON is one of TOML, except for some control characters
