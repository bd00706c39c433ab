"""The life of the process: starting -> ready <-> unready -> draining. One state, read by all who report it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from logging import INFO, WARNING, getLogger
from typing import Any

logger = getLogger(__name__)

_CANCEL_AGAIN = 0.1  # s


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"  # was ready; the database is away
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Check:
    """The last result of one readiness check; `detail` says what failed."""

    ok: bool
    detail: str


@dataclass(slots=True)
class Lifecycle:
    """What the process is doing, and the events of its life."""

    state: State = State.STARTING
    checks: Mapping[str, Check] = field(default_factory=dict)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is ready for the first time, or when it ends without ever having been."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first signal to stop: not ready any more, still serving."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the drain delay is over: no new connections, streams end."""
    handed_over: bool = False
    """Another process accepts on the same sockets: each connection ends with its next answer."""
    observe: Callable[[State, str], None] = lambda state, failed: None
    """Called with the state and the failed checks whenever either has changed."""

    @property
    def ready(self) -> bool:
        return self.state is State.READY

    @property
    def leaving(self) -> bool:
        """Whether connections should not be used again."""
        return self.handed_over or self.draining.is_set()

    @property
    def failed(self) -> str:
        """What the failed checks say, as one line; empty if all is well."""
        return "; ".join(f"{name}: {check.detail}" for name, check in self.checks.items() if not check.ok)

    def report(self, checks: Mapping[str, Check], *, ready: bool) -> None:
        """Take the newest checks; `ready` is what they mean once flapping is smoothed out."""
        before, self.checks = self.failed, checks
        state = self.state
        if not self.draining.is_set():
            if ready:
                state = State.READY
                self.started.set()
            elif self.state is State.READY:
                state = State.UNREADY
        self._become(state, news=self.failed != before)

    def drain(self) -> None:
        """Stop being ready, for good. Also closes if it never was: nothing was ever sent here."""
        self._become(State.DRAINING)
        self.draining.set()
        if not self.started.is_set():
            self.close()

    def close(self) -> None:
        """End the streams, for good; also drains."""
        if not self.draining.is_set():
            self.drain()
        self.closing.set()
        self.started.set()

    def _become(self, state: State, *, news: bool = False) -> None:
        if state is self.state and not news:
            return
        failed = f" ({self.failed})" if self.failed else ""
        if state is not self.state:
            logger.log(WARNING if state is State.UNREADY else INFO, "%s -> %s%s", self.state, state, failed)
        elif failed and state is not State.READY:  # a ready replica tolerates a failed check
            logger.warning("still %s%s", state, failed)
        self.state = state
        self.observe(state, self.failed)


@asynccontextmanager
async def background_tasks(*jobs: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `jobs` in the background while the block lasts, then cancel them and wait for their end."""
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        # More than once: asyncio.wait_for() of Python 3.11 forgets a cancellation that meets its result.
        while pending := [task for task in tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=_CANCEL_AGAIN)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a background task ended with an error; the service goes on without it", exc_info=error)
