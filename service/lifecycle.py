"""The life of the process: starting -> ready <-> unready -> draining. One state, read by all who report it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from logging import getLogger

logger = getLogger(__name__)


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
    """What the process is doing, and the two events of its end."""

    state: State = State.STARTING
    checks: Mapping[str, Check] = field(default_factory=dict)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first signal to stop: not ready any more, still serving."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the drain delay is over: no new connections, streams end."""

    @property
    def ready(self) -> bool:
        return self.state is State.READY

    def report(self, checks: Mapping[str, Check], *, ready: bool) -> None:
        """Take the newest checks; `ready` is what they mean once flapping is smoothed out."""
        self.checks = checks
        if self.draining.is_set():
            return
        if ready:
            self._become(State.READY)
        elif self.state is State.READY:
            self._become(State.UNREADY)

    def drain(self) -> None:
        """Stop being ready, for good."""
        self._become(State.DRAINING)
        self.draining.set()

    def close(self) -> None:
        """End the streams, for good; also drains."""
        if not self.draining.is_set():
            self.drain()
        self.closing.set()

    def _become(self, state: State) -> None:
        if state is self.state:
            return
        failed = "; ".join(f"{name}: {check.detail}" for name, check in self.checks.items() if not check.ok)
        level = "warning" if state is State.UNREADY else "info"
        getattr(logger, level)("%s -> %s%s", self.state, state, f" ({failed})" if failed else "")
        self.state = state
