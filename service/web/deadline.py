"""The deadline of a request: cancels the request when its time is over or its client disconnects."""

import asyncio

from hypercorn.typing import ASGIReceiveCallable

# The time until the first check. Most requests end before it, so they cost one timer and nothing else.
_FIRST_CHECK = 0.05  # s


class Deadline:
    """Cancels the task that creates it, which answers a request, after `seconds` or when the client disconnects."""

    __slots__ = (
        "_at",
        "_body_is_read",
        "_cancelled",
        "_checked",
        "_follower",
        "_lifted",
        "_loop",
        "_receive",
        "_task",
        "_timer",
        "client_left",
    )

    def __init__(self, receive: ASGIReceiveCallable, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self.client_left = False
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._receive = receive
        self._body_is_read = self._checked = self._lifted = self._cancelled = False
        self._follower: asyncio.Task[None] | None = None
        now = self._loop.time()
        self._at = now + seconds
        self._timer = self._loop.call_at(min(now + _FIRST_CHECK, self._at), self._check)

    def body_is_read(self) -> None:
        """Report that the whole body was received: only a disconnect can follow, and it is awaited from now on."""
        self._body_is_read = True
        if self._checked:
            self._follow()

    def lift(self) -> None:
        """Remove the time limit, for a stream, which has limits of its own. A disconnect still cancels the task."""
        self._lifted = True
        if self._checked:
            self._timer.cancel()

    def uncancel(self) -> bool:
        """Undo the cancellation by this deadline. Returns False if something else has cancelled the task."""
        return self._cancelled and self._task.uncancel() == 0

    def end(self) -> None:
        """Stop watching: the request is over."""
        self._timer.cancel()
        if self._follower is not None:
            self._follower.cancel()

    def _check(self) -> None:
        self._checked = True
        if not self._lifted:
            self._timer = self._loop.call_at(self._at, self._cancel)
        if self._body_is_read:
            self._follow()

    def _follow(self) -> None:
        self._follower = self._loop.create_task(self._until_disconnect())

    async def _until_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_left = True
        self._cancel()

    def _cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._task.cancel()
