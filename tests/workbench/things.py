"""The probe domain, tests/probe, as the domain of a workbench."""

import re
import shutil
from pathlib import Path

import asyncpg

from harness.resource import Resource
from harness.sandbox import Sandbox
from tests.probe import things
from workbench.parts.postgres import Postgres

MODULE = "service/things.py"
"""The probe domain in a copy of the project."""

ANY = "/things?limit=1"
"""The path of a request for tests in which any request will do."""

LOAD = Resource("/things", lambda number: {"name": f"Load {number}"}, read=ANY)

_APP = "service/app.py"
_REMOVABLE = ("notes", "pages")
_IMPORT = re.compile(r"^from service import (?:\([^)]*\)|.*)\n", re.MULTILINE)
_FIRST_IMPORT = re.compile(r"^(?=from service\.)", re.MULTILINE)
_DOMAINS = re.compile(r"^DOMAINS\b[^=\n]*= \([^)]*\)$", re.MULTILINE)


async def make_table(postgres: Postgres) -> None:
    """Makes the table of things, once the migrations are applied."""
    connection = await asyncpg.connect(postgres.url("app_owner"))
    try:
        await connection.execute(things.SCHEMA)
    finally:
        await connection.close()


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
