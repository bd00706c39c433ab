"""Whether the database can be used: asked all the time on a connection of its own, reported to the lifecycle."""

import asyncio
from contextlib import suppress

import asyncpg

from service.database.pool import FAILURES, Database
from service.lifecycle import Check, Lifecycle
from service.settings import Settings

_QUESTION = """
    SELECT current_setting('server_version') AS server, max(version) AS schema_version
      FROM schema_migrations
"""


class Readiness:
    """Checks the database and its schema.

    One failed check does not make the replica unready, `check_failures` in a row do; one good check makes it ready.
    The pool is left alone: a busy pool is load, not an outage.
    """

    def __init__(self, settings: Settings, database: Database, lifecycle: Lifecycle, schema_version: int) -> None:
        self._settings = settings
        self._database = database
        self._lifecycle = lifecycle
        self._schema_version = schema_version
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.server_version: str | None = None

    async def run(self) -> None:
        """Check for ever; to be cancelled."""
        failures = 0
        try:
            while True:
                checks = await self._check()
                failures = 0 if all(check.ok for check in checks.values()) else failures + 1
                tolerated = self._lifecycle.ready and failures < self._settings.check_failures
                self._lifecycle.report(checks, ready=failures == 0 or tolerated)
                # Look more often while it is away, so that it is back in use soon.
                await asyncio.sleep(self._settings.check_interval / (4 if failures else 1))
        finally:
            self._drop()

    async def _check(self) -> dict[str, Check]:
        try:
            async with asyncio.timeout(max(self._settings.check_interval, 1)):
                if self._connection is None:
                    self._connection = await self._database.connect()
                row = await self._connection.fetchrow(_QUESTION)
        except asyncpg.UndefinedTableError:
            return {"database": Check(True, "answers"), "schema": self._schema_check(None)}
        except FAILURES as error:
            self._drop()
            reason = next(iter(str(error).splitlines()), "it did not answer in time")
            return {"database": Check(False, f"no answer: {reason}"), "schema": Check(False, "unknown")}
        assert row is not None  # noqa: S101 - an aggregate always gives a row
        self.server_version = row["server"]
        return {"database": Check(True, "answers"), "schema": self._schema_check(row["schema_version"])}

    def _schema_check(self, version: int | None) -> Check:
        found, needed = version or 0, self._schema_version
        if found < needed:
            return Check(False, f"version {found} found, {needed} needed: run `python -m service.migrate`")
        return Check(True, f"version {found}")

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # it is broken already; all that matters is that it is gone
                self._connection.terminate()
        self._connection = None
