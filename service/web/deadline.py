"""Whether anybody still waits for an answer: the deadline of a request, and its client."""

import asyncio

from hypercorn.typing import ASGIReceiveCallable

# Most requests are over before that, and a timer is all that they cost.
_SOON = 0.05


class Watch:
    """Cancels the current task, which answers a request, when the request's time is over or its client leaves."""

    __slots__ = (
        "_cancelled",
        "_deadline",
        "_follower",
        "_has_all",
        "_loop",
        "_receive",
        "_task",
        "_timer",
        "client_left",
    )

    def __init__(self, receive: ASGIReceiveCallable, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self.client_left = False
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._receive = receive
        self._has_all = False
        self._cancelled = False
        self._follower: asyncio.Task[None] | None = None
        now = self._loop.time()
        self._deadline: float | None = now + seconds
        self._timer = self._loop.call_at(min(now + _SOON, self._deadline), self._look)

    def has_all(self) -> None:
        """The request is complete: all that can still come of its client is that it leaves."""
        self._has_all = True
        if self._deadline is None:
            self._follow()

    def has_cancelled(self) -> bool:
        """Whether the cancellation that the task has met was this one's, and no other."""
        return self._cancelled and self._task.uncancel() == 0

    def end(self) -> None:
        self._timer.cancel()
        if self._follower is not None:
            self._follower.cancel()

    def _look(self) -> None:
        deadline, self._deadline = self._deadline, None
        assert deadline is not None  # noqa: S101 - it looks once
        self._timer = self._loop.call_at(deadline, self._cancel)
        if self._has_all:
            self._follow()

    def _follow(self) -> None:
        self._follower = self._loop.create_task(self._until_it_leaves())

    async def _until_it_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_left = True
        self._cancel()

    def _cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._task.cancel()
