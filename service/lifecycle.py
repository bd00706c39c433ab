"""The state of the process, starting -> ready <-> unready -> draining, and its background tasks."""

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
    UNREADY = "unready"  # was ready before; a check fails
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Check:
    """The last result of one readiness check; `detail` says what was found, or what failed."""

    ok: bool
    detail: str


@dataclass(slots=True)
class Lifecycle:
    """The state of the process, the results of its checks, and the events of its shutdown."""

    state: State = State.STARTING
    checks: Mapping[str, Check] = field(default_factory=dict)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is ready for the first time, or when it ends before that."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first signal to stop: the process is not ready any more, but still serves."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the drain delay is over: the process accepts no connections, and streams end."""
    handed_over: bool = False
    """Whether another process accepts on the same sockets. If so, each connection ends with its next response."""
    receipt: str = ""
    """Under live reload: what the last save has changed, as `GET /` shows it."""
    observe: Callable[[State, str], None] = lambda state, failed: None
    """Called with `state` and `failed` whenever one of them changes."""

    def show(self, receipt: str) -> None:
        """Let `GET /` show what the last save has changed."""
        self.receipt = receipt

    @property
    def ready(self) -> bool:
        return self.state is State.READY

    @property
    def leaving(self) -> bool:
        """Whether clients should open new connections instead of using these again."""
        return self.handed_over or self.draining.is_set()

    @property
    def failed(self) -> str:
        """The details of the failed checks as one line; empty if no check failed."""
        return "; ".join(f"{name}: {check.detail}" for name, check in self.checks.items() if not check.ok)

    def report(self, checks: Mapping[str, Check], *, ready: bool) -> None:
        """Take the newest results; `ready` says what they mean after smoothing out single failures."""
        before, self.checks = self.failed, checks
        state = self.state
        if not self.draining.is_set():
            if ready:
                state = State.READY
                self.started.set()
            elif self.state is State.READY:
                state = State.UNREADY
        self._become(state, failed_changed=self.failed != before)

    def drain(self) -> None:
        """Stop being ready for good. Also closes a process that was never ready, because no client knows of it."""
        self._become(State.DRAINING)
        self.draining.set()
        if not self.started.is_set():
            self.close()

    def close(self) -> None:
        """Stop accepting connections and end the streams, for good. Also drains."""
        if not self.draining.is_set():
            self.drain()
        self.closing.set()
        self.started.set()

    def _become(self, state: State, *, failed_changed: bool = False) -> None:
        if state is self.state and not failed_changed:
            return
        failed = f" ({self.failed})" if self.failed else ""
        if state is not self.state:
            logger.log(WARNING if state is State.UNREADY else INFO, "%s -> %s%s", self.state, state, failed)
        elif failed and state is not State.READY:  # a ready process tolerates single failures
            logger.warning("still %s%s", state, failed)
        self.state = state
        self.observe(state, self.failed)


@asynccontextmanager
async def background_tasks(*jobs: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `jobs` in the background while the block lasts; then cancel them and wait until they end."""
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        # Cancel repeatedly: in Python 3.11 asyncio.wait_for() loses a cancellation that coincides with its result.
        while pending := [task for task in tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=_CANCEL_AGAIN)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a background task failed; the service goes on without it", exc_info=error)
