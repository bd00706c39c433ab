"""The readiness check: asks the database at intervals, on a connection of its own, and reports to the lifecycle."""

import asyncio
from contextlib import suppress

import asyncpg

from service.database.errors import DATABASE_ERRORS
from service.database.pool import Database
from service.database.schema import SchemaVersion, includes, text
from service.lifecycle import Check, Lifecycle
from service.settings import Settings

_SCHEMA = "SELECT sequence, max(version) AS version FROM schema_migrations GROUP BY sequence"


class Readiness:
    """Checks the database and the version of its schema.

    The replica becomes unready after `check_failures` failed checks in a row, and ready after one that succeeds. The
    check does not use the pool: a busy pool means load, not an outage.
    """

    def __init__(
        self, settings: Settings, database: Database, lifecycle: Lifecycle, schema_version: SchemaVersion
    ) -> None:
        self._settings = settings
        self._database = database
        self._lifecycle = lifecycle
        self._schema_version = schema_version
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.server_version: str | None = None

    async def run(self) -> None:
        """Check until cancelled."""
        failures = 0
        try:
            while True:
                checks = await self._check()
                failures = 0 if all(check.ok for check in checks.values()) else failures + 1
                tolerated = self._lifecycle.ready and failures < self._settings.check_failures
                self._lifecycle.report(checks, ready=failures == 0 or tolerated)
                # Check more often during an outage, so that the replica is ready again soon after it.
                await asyncio.sleep(self._settings.check_interval / (4 if failures else 1))
        finally:
            self._disconnect()

    async def _check(self) -> dict[str, Check]:
        try:
            async with asyncio.timeout(max(self._settings.check_interval, 1)):
                if self._connection is None:
                    self._connection = await self._database.connect()
                    self.server_version = self._connection.get_settings().server_version
                rows = await self._connection.fetch(_SCHEMA)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):
            rows = []
        except DATABASE_ERRORS as error:
            self._disconnect()
            reason = next(iter(str(error).splitlines()), "it did not answer in time")
            return {"database": Check(False, f"no answer: {reason}"), "schema": Check(False, "unknown")}
        found = {row["sequence"]: row["version"] for row in rows}
        return {"database": Check(True, "answers"), "schema": self._schema_check(found)}

    def _schema_check(self, found: SchemaVersion) -> Check:
        needed = self._schema_version
        if not includes(found, needed):
            return Check(
                False, f"version {text(found)} found, {text(needed)} needed: run `python -m service.migrate`"
            )
        return Check(True, f"version {text(found)}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # the connection may be broken already
                self._connection.terminate()
        self._connection = None
