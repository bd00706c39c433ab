"""Limits how much of a request waits to be received. Without a limit, a fast upload would fill the memory.

Hypercorn's own limit can block for ever. When an application has answered before the end of the body, and reads no
more of it, its last send() puts the end of the request into the queue of what it receives. If that is full, send()
waits for a reader, which only the application itself could be: the request keeps its slot, and its connection stays
open. So here that queue has no limit, and what comes before the end of the request waits outside of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope

_SIZE = 10  # events

_Put = Callable[[ASGIReceiveEvent], Awaitable[None]]


class RequestTasks(TaskGroup):
    """The tasks of one connection, each with an Inbox. Needs `max_app_queue_size` 0, which is no limit."""

    async def spawn_app(self, app: AppWrapper, config: Config, scope: Scope, send: Any) -> _Put:
        inbox = Inbox(app)
        put = await super().spawn_app(inbox, config, scope, send)
        return partial(inbox.put, put)


class Inbox:
    """Between the connection and the application of one request."""

    __slots__ = ("_app", "_changed", "_over", "_waiting")

    def __init__(self, app: AppWrapper) -> None:
        self._app = app
        self._waiting = 0
        self._over = False
        self._changed: asyncio.Event | None = None  # most requests need none

    async def __call__(
        self,
        scope: Scope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        sync_spawn: Callable[..., Any],
        call_soon: Callable[..., Any],
    ) -> None:
        """Calls the application."""

        async def take() -> ASGIReceiveEvent:
            event = await receive()
            self._waiting -= 1
            if self._changed is not None:
                self._changed.set()
            return event

        await self._app(scope, take, send, sync_spawn, call_soon)

    async def put(self, put: _Put, event: ASGIReceiveEvent) -> None:
        """Waits while the application has enough to receive. What comes after the end of the request is dropped."""
        if event["type"].endswith(".disconnect"):
            self._over = True
            if self._changed is not None:
                self._changed.set()
        else:
            while self._waiting >= _SIZE and not self._over:
                self._changed = self._changed or asyncio.Event()
                self._changed.clear()
                await self._changed.wait()
            if self._over:
                return
        self._waiting += 1
        await put(event)
