"""The feeds of all resources of one process, and the one connection that listens and reads for them."""

import asyncio
from logging import getLogger

from prometheus_client import CollectorRegistry, Gauge

from service.database.errors import DATABASE_ERRORS
from service.database.pool import Database
from service.lifecycle import Lifecycle
from service.resource import queries
from service.resource.feed import Feed, Position
from service.settings import Settings

logger = getLogger(__name__)

_CHANNEL = "events"
_RECHECK = 0.05  # s, while an event cannot be read because an older transaction is still running
_KEEPALIVE = 10.0  # s; a dead connection is noticed only when it is used
_RECONNECT = 0.25  # s


class Feeds:
    """The feeds, by the names of their tables."""

    def __init__(
        self, settings: Settings, database: Database, lifecycle: Lifecycle, registry: CollectorRegistry
    ) -> None:
        self._heartbeat = settings.heartbeat
        self._database = database
        self._lifecycle = lifecycle
        self._subscribers = Gauge("event_subscribers", "Open event streams.", ["resource"], registry=registry)
        self._feeds: dict[str, Feed] = {}

    def of(self, table: str) -> Feed:
        """The feed of a table whose migration calls `publish_events`. To be called while the application is made."""
        if table not in self._feeds:
            subscribers = self._subscribers.labels(table)
            self._feeds[table] = Feed(table, self._heartbeat, self._database, self._lifecycle, subscribers)
        return self._feeds[table]

    async def run(self) -> None:
        """Read events until cancelled; connect again when the connection is lost."""
        if not self._feeds:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._wake_at_close())
            while True:
                try:
                    await self._follow()
                except DATABASE_ERRORS as error:
                    logger.debug("feeds: %s: %s", type(error).__name__, error)
                await asyncio.sleep(_RECONNECT)

    async def _follow(self) -> None:
        connection = await self._database.connect(direct=True)
        notified = asyncio.Event()
        unread: set[str] = set()  # the resources whose feeds have to read

        def notify(_connection: object, _process: int, _channel: str, resource: object) -> None:
            unread.add(str(resource))
            notified.set()

        try:
            connection.add_termination_listener(lambda *_: notified.set())
            await connection.add_listener(_CHANNEL, notify)
            now: int = await connection.fetchval(queries.EVENTS_NOW.sql)
            for feed in self._feeds.values():
                feed.start(Position(now, 0))
            unread |= self._feeds.keys()
            while not connection.is_closed():
                notified.clear()
                reading = [feed for resource, feed in self._feeds.items() if resource in unread]
                unread.clear()
                waiting = {feed.resource for feed in reading if await feed.read(connection)}
                unread |= waiting
                try:
                    async with asyncio.timeout(_RECHECK if waiting else _KEEPALIVE):
                        await notified.wait()
                except TimeoutError:
                    unread |= waiting or self._feeds.keys()
        finally:
            connection.terminate()

    async def _wake_at_close(self) -> None:
        await self._lifecycle.closing.wait()
        for feed in self._feeds.values():
            feed.wake()
