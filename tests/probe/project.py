"""A copy of the project whose only domain is the probe domain."""

import re
import shutil
from pathlib import Path

from harness.sandbox import Sandbox
from tests.probe import things

MODULE = "service/things.py"
"""The probe domain in the copy."""

_APP = "service/app.py"
_REMOVABLE = ("notes", "pages")
_IMPORT = re.compile(r"^from service import (?:\([^)]*\)|.*)\n", re.MULTILINE)
_FIRST_IMPORT = re.compile(r"^(?=from service\.)", re.MULTILINE)
_DOMAINS = re.compile(r"^DOMAINS\b[^=\n]*= \([^)]*\)$", re.MULTILINE)


def probe_sandbox(root: Path) -> Sandbox:
    """A copy of the project in the folder `root`, with the probe domain in place of its own domains.

    Raises LookupError if service/app.py lacks the lines that have to change.
    """
    sources = Sandbox(root)
    for name in _REMOVABLE:
        shutil.rmtree(sources.root / "service" / name, ignore_errors=True)
    assert things.__file__
    sources.write(MODULE, Path(things.__file__).read_text())
    sources.write(_APP, with_things(sources.read(_APP)))
    sources.keep()
    return sources


def with_things(app: str) -> str:
    """The text of service/app.py with things as the only domain. Raises LookupError."""
    app = _replace(_FIRST_IMPORT, "from service import things\n", _IMPORT.sub("", app), "`from service.X import Y`")
    return _replace(_DOMAINS, "DOMAINS = (things.DOMAIN,)", app, "`DOMAINS: tuple[Domain, ...] = (...)`")


def _replace(pattern: re.Pattern[str], new: str, app: str, what: str) -> str:
    app, found = pattern.subn(new, app, count=1)
    if not found:
        raise LookupError(f"{_APP} has no line {what}: adapt the patterns in {Path(__file__).name} to it")
    return app
