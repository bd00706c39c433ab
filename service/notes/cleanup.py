"""What is kept for a time only, Idempotency-Keys and events: removed in small batches, by every replica a share."""

import asyncio
import random
from datetime import timedelta
from logging import getLogger

from service.database.pool import Database, Statement
from service.errors import Unavailable
from service.notes import queries
from service.settings import Settings
from service.telemetry.metrics import Metrics

logger = getLogger(__name__)

_AT_ONCE = 500
_PAUSE = 0.05  # s between two batches: requests get the connection, and the disk, in between


class Cleanup:
    """Keeps the tables no longer than their rows are of use."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        self._interval = settings.cleanup_interval
        self._lifetimes = (
            (queries.KEYS_EXPIRE, timedelta(seconds=settings.key_lifetime)),
            (queries.EVENTS_EXPIRE, timedelta(seconds=settings.event_lifetime)),
        )
        self._database = database
        self._expired = metrics.expired

    async def run(self) -> None:
        """Remove what has expired, for ever; to be cancelled."""
        while True:
            # At another time than the other replicas, which were perhaps started at once.
            await asyncio.sleep(self._interval * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            for statement, lifetime in self._lifetimes:
                try:
                    await self._expire(statement, lifetime)
                except Unavailable as error:
                    logger.debug("cleanup: %s", error.detail)  # what is left is removed next time

    async def _expire(self, statement: Statement, lifetime: timedelta) -> None:
        removed = _AT_ONCE
        while removed == _AT_ONCE:
            async with self._database.connection() as connection:
                removed = len(await connection.fetch(statement, lifetime, _AT_ONCE))
            self._expired.labels(statement.name).inc(removed)
            await asyncio.sleep(_PAUSE)
