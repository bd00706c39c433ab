"""make changes: prints the section of CHANGELOG.md about a version, as the text of its release.

The variable VERSION is the version. If pyproject.toml has another one, or CHANGELOG.md no section about it, that is a
line on stderr, and the exit status is 1.
"""

import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


class NoRelease(Exception):
    """The version cannot be released. The text says why, and what to do."""


def section(root: Path, version: str) -> str:
    """The section without its heading. Raises NoRelease."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if version != project["version"]:
        raise NoRelease(
            f"pyproject.toml has the version {project['version']}, not {version}: change it there, or the tag"
        )
    _, *sections = re.split(r"(?m)^## ", (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    for part in sections:
        heading, _, text = part.partition("\n")
        number, _, day = heading.partition(" - ")
        if number == version and re.fullmatch(r"\d{4}-\d\d-\d\d", day) and text.strip():
            return text.strip()
    raise NoRelease(
        f"CHANGELOG.md has no section `## {version} - YYYY-MM-DD`: give what is below Unreleased this heading"
    )


if __name__ == "__main__":
    try:
        print(section(ROOT, os.environ["VERSION"]))
    except NoRelease as error:
        sys.exit(f"make changes: {error}")
