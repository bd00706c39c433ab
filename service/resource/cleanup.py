"""Removes expired Idempotency-Keys and events, in small batches. The replicas share the work."""

import asyncio
import random
from datetime import timedelta
from logging import getLogger

from prometheus_client import CollectorRegistry, Counter

from service.database.pool import Database, Statement
from service.errors import Unavailable
from service.resource import queries
from service.settings import Settings

logger = getLogger(__name__)

_BATCH = 500  # rows
_PAUSE = 0.05  # s between two batches, in which requests can use the connection and the disk


class Cleanup:
    """Keeps the tables small: removes rows whose lifetime is over."""

    def __init__(self, settings: Settings, database: Database, registry: CollectorRegistry) -> None:
        self._interval = settings.cleanup_interval
        self._lifetimes = (
            (queries.KEYS_EXPIRE, timedelta(seconds=settings.key_lifetime)),
            (queries.EVENTS_EXPIRE, timedelta(seconds=settings.event_lifetime)),
        )
        self._database = database
        self._expired = Counter(
            "db_rows_expired", "Rows removed at the end of their lifetime.", ["statement"], registry=registry
        )

    async def run(self) -> None:
        """Remove expired rows until cancelled."""
        while True:
            # All replicas may have started at the same moment, so each waits for a random time.
            await asyncio.sleep(self._interval * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            for statement, lifetime in self._lifetimes:
                try:
                    await self._expire(statement, lifetime)
                except Unavailable as error:
                    logger.debug("cleanup: %s", error.detail)  # the next run removes the rest

    async def _expire(self, statement: Statement, lifetime: timedelta) -> None:
        removed = _BATCH
        while removed == _BATCH:
            async with self._database.connection() as connection:
                removed = len(await connection.fetch(statement, lifetime, _BATCH))
            self._expired.labels(statement.name).inc(removed)
            await asyncio.sleep(_PAUSE)
