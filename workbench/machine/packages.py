"""Prints the packages that were removed from an environment behind pip's back, and those with a file that is missing.

    .venv/bin/python -I workbench/machine/packages.py REQUIREMENTS.TXT...

Other versions than the locked ones are no damage: a person may try one. Bytecode may be deleted at any time.
"""

import csv
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path


def locked(requirements: str) -> Iterator[str]:
    """The names of the packages that every platform and every version of Python needs."""
    yield from re.findall(r"^([\w.-]+)==[^\s;]+ *\\?$", requirements, re.MULTILINE)


def is_installed(name: str) -> bool:
    return next(iter(importlib.metadata.distributions(name=name)), None) is not None


def is_complete(distribution: importlib.metadata.Distribution) -> bool:
    """Reads RECORD itself: from Python 3.12 on, `distribution.files` lists only the files that exist."""
    record = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    return all(name.endswith(".pyc") or Path(str(distribution.locate_file(name))).exists() for name, *_ in record)


if __name__ == "__main__":
    names = {name for file in sys.argv[1:] for name in locked(Path(file).read_text(encoding="utf-8"))}
    damaged = {name for name in names if not is_installed(name)}
    damaged |= {found.name for found in importlib.metadata.distributions() if not is_complete(found)}
    sys.stdout.write("".join(f"{name}\n" for name in sorted(damaged)))
