"""Workbenches and copies of the project whose service has the probe domain, and no other one."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg

from harness.sandbox import Sandbox
from tests.probe import things
from workbench.console import Console
from workbench.machine.folders import INGRESS_RULES
from workbench.options import StackOptions
from workbench.parts.postgres import Postgres
from workbench.stack import Stack

MODULE = "tests.probe"
"""The module that a replica runs."""

_STREAMS = re.compile(r"exact: /\w+/(events|export|import)\b")
_APP = "service/app.py"
_IMPORT = re.compile(r"^from service import .*\n", re.MULTILINE)
_DOMAINS = re.compile(r"^DOMAINS\b.*\n", re.MULTILINE)


@asynccontextmanager
async def probe_stack(options: StackOptions, console: Console) -> AsyncIterator[Stack]:
    """A workbench that has the table of things. `options.service` is a command that serves the probe domain."""
    async with Stack(replace(options, rules=_rules(options.data)), console) as stack:
        await make_table(stack.postgres)
        yield stack


async def make_table(postgres: Postgres) -> None:
    """Makes the table of things; the migrations have to be applied."""
    owner = await asyncpg.connect(postgres.url("app_owner"))
    try:
        await owner.execute(things.SCHEMA)
    finally:
        await owner.close()


def probe_sandbox(root: Path) -> Sandbox:
    """A copy of the project in which the probe domain replaces the project's own domains."""
    sources = Sandbox(root)
    for domain in ("notes", "pages"):
        shutil.rmtree(root / "service" / domain, ignore_errors=True)
    assert things.__file__
    sources.write("service/things.py", Path(things.__file__).read_text())
    app = _IMPORT.sub("", sources.read(_APP), count=1)
    app, found = _DOMAINS.subn("from service import things\nDOMAINS = (things.DOMAIN,)\n", app)
    assert found == 1, f"{_APP} does not assign DOMAINS in one line"
    sources.write(_APP, app)
    return sources


def _rules(data: Path) -> Path:
    """A copy of the ingress rules whose routes for streams match the streams of things."""
    rules = shutil.copytree(INGRESS_RULES, data / "rules")
    file = rules / "virtualservice.yaml"
    file.write_text(_STREAMS.sub(r"exact: /things/\1", file.read_text()))
    return rules
