"""Reads from standbys: the primary's rows, a little later.

A client reads what it wrote: it says how far the database was after its last write (service/freshness.py), and a
standby that has not come as far is passed over. So is one that does not answer.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

from prometheus_client import Counter

from service import freshness
from service.database.errors import TRANSIENT_ERRORS
from service.database.pool import Connection, Database, Pool, Statement
from service.errors import Unavailable
from service.freshness import NEWEST
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.tracing.hooks import OFF, Tracing

_AVOIDED = 5.0  # s in which a standby that did not answer is not asked again

# The commit of a write that was acknowledged has been flushed, so a standby that has replayed as far has its rows.
_WRITTEN = Statement("standby_position", "SELECT pg_current_wal_flush_lsn()::text AS position")
_REACHED = Statement(
    "standby_reached",
    "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= $1::text::pg_lsn AS reached",
)


class DatabaseWithStandbys(Database):
    """A Database whose reading() leads to a standby, if one is as new as the request wants."""

    def __init__(self, settings: Settings, metrics: Metrics, tracing: Tracing = OFF) -> None:
        super().__init__(settings, metrics, tracing)
        self._standbys: Pool | None = None
        self._avoided_until = 0.0
        self._reads = Counter(
            "db_standby_reads", "Reads that a standby may answer, by who did.", ["server"], registry=metrics.registry
        )

    async def open(self) -> None:
        """Create both pools; no server need be up."""
        await super().open()
        self._standbys = await self._make_pool(self._settings.database_standby_url)

    async def close(self) -> None:
        """Close both pools, as Database does."""
        await super().close()
        await self._close_pool(self._standbys)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Connection]:
        """As in Database. Without a standby that is new enough and answers, the connection leads to the primary."""
        async with AsyncExitStack() as borrowed:
            connection = await self._of_a_standby(borrowed)
            self._reads.labels("primary" if connection is None else "standby").inc()
            if connection is None:
                connection = await borrowed.enter_async_context(self.connection())
            yield connection

    async def written(self) -> str:
        """The position that a standby has to reach to have all acknowledged writes; NEWEST if nobody can tell."""
        try:
            async with self.connection() as connection:
                row = await connection.fetchrow(_WRITTEN)
        except Unavailable:
            return NEWEST
        return str(row["position"]) if row else NEWEST

    async def _of_a_standby(self, borrowed: AsyncExitStack) -> Connection | None:
        """A connection that `borrowed` gives back."""
        position = freshness.after.get()
        if self._standbys is None or position == NEWEST or monotonic() < self._avoided_until:
            return None
        try:
            async with AsyncExitStack() as trying:
                connection = await trying.enter_async_context(Connection(self, self._standbys))
                if position is not None:
                    row = await connection.fetchrow(_REACHED, position)
                    if row is None or not row["reached"]:
                        return None
                borrowed.push_async_exit(trying.pop_all())
                return connection
        except (Unavailable, *TRANSIENT_ERRORS):
            self._avoided_until = monotonic() + _AVOIDED
            return None
