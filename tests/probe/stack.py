"""Workbenches whose service has the probe domain, and no other one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.probe import things
from workbench.console import Console
from workbench.options import StackOptions
from workbench.parts.postgres import Postgres
from workbench.stack import Stack

MODULE = "tests.probe"
"""The module that a replica runs."""


@asynccontextmanager
async def probe_stack(options: StackOptions, console: Console) -> AsyncIterator[Stack]:
    """A workbench that has the table of things. `options.service` is a command that serves the probe domain."""
    async with Stack(options, console) as stack:
        await make_table(stack.postgres)
        yield stack


async def make_table(postgres: Postgres) -> None:
    """Makes the table of things; the migrations have to be applied."""
    owner = await asyncpg.connect(postgres.url("app_owner"))
    try:
        await owner.execute(things.SCHEMA)
    finally:
        await owner.close()
