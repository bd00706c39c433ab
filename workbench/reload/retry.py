"""When the next start is due without a save."""

import time

_AFTER_TIMEOUT = 5.0  # s after a process was not ready in time: the database may be back
_BACKOFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # s before the next start after a crash
_STABLE_AFTER = 30.0  # s of serving that end a series of crashes


class Retry:
    """At most one start is due. After each crash in a row the delay is longer."""

    def __init__(self) -> None:
        self.crashes = 0
        """How many in a row, with the starts that failed after them."""
        self._due: float | None = None  # on time.monotonic()

    def after_timeout(self) -> None:
        """A process was not ready in time."""
        self._due = time.monotonic() + _AFTER_TIMEOUT

    def after_crash(self, serving_since: float | None = None) -> float:
        """Count a crash, or a start that failed after one. Returns the seconds until the next start."""
        if serving_since is not None and time.monotonic() - serving_since > _STABLE_AFTER:
            self.crashes = 0
        delay = _BACKOFF[min(self.crashes, len(_BACKOFF) - 1)]
        self.crashes += 1
        self._due = time.monotonic() + delay
        return delay

    def cancel(self) -> None:
        self._due = None

    @property
    def seconds_left(self) -> float | None:
        """0 if the start is due; None if there is none to wait for."""
        return None if self._due is None else max(self._due - time.monotonic(), 0.0)
