"""The states of the supervisor and of the processes that it runs, with every allowed transition.

docs/architecture.md has the same tables, and a test compares them.
"""

from collections.abc import Mapping, Set
from enum import StrEnum
from signal import SIGHUP, SIGINT, SIGUSR1, Signals


class ProcessState(StrEnum):
    """What a process of the service does. At most one process is serving, and at most one is on standby."""

    CANDIDATE = "candidate"
    """It becomes ready, but accepts no connection."""
    SERVING = "serving"
    STANDBY = "standby"
    """It has handed over, answers the requests that it still has, and can serve again."""
    DRAINING = "draining"
    """Its requests finish and its streams end, then it exits."""


PROCESS_TRANSITIONS: Mapping[ProcessState, Set[ProcessState]] = {
    ProcessState.CANDIDATE: {ProcessState.SERVING},
    ProcessState.SERVING: {ProcessState.STANDBY, ProcessState.DRAINING},
    ProcessState.STANDBY: {ProcessState.SERVING, ProcessState.DRAINING},
    ProcessState.DRAINING: set(),
}

SIGNALS: Mapping[ProcessState, Signals] = {
    ProcessState.SERVING: SIGUSR1,
    ProcessState.STANDBY: SIGHUP,
    ProcessState.DRAINING: SIGINT,
}
"""The signal that puts a process into a state; service/__main__.py handles them."""


class SupervisorState(StrEnum):
    """What clients get, and how it relates to the files. A candidate changes nothing before it takes over."""

    STARTING = "starting"
    """Nothing serves yet."""
    SERVING = "serving"
    """The version of the files serves."""
    OUTDATED = "outdated"
    """A version serves that is older than the files."""
    REFUSED = "refused"
    """Nothing serves, because the version of the files cannot; the next save may."""
    CRASHED = "crashed"
    """Nothing serves, because the serving process ended by itself; the next start is due after a delay."""
    STOPPING = "stopping"

    @property
    def is_stale(self) -> bool:
        """Whether the files hold a version that was found unable to serve."""
        return self in {SupervisorState.OUTDATED, SupervisorState.REFUSED}


class Event(StrEnum):
    """What changes the supervisor's state."""

    TOOK_OVER = "a candidate took over"
    FAILED = "the version of the files cannot serve"
    TOOK_BACK = "the serving process ended and the one on standby serves again"
    CRASHED = "the serving process ended and no process was on standby"
    RESTORED = "the files are the serving version again"
    STOPPED = "the supervisor got a signal to stop"


SUPERVISOR_TRANSITIONS: Mapping[SupervisorState, Mapping[Event, SupervisorState]] = {
    SupervisorState.STARTING: {
        Event.TOOK_OVER: SupervisorState.SERVING,
        Event.FAILED: SupervisorState.REFUSED,
        Event.STOPPED: SupervisorState.STOPPING,
    },
    SupervisorState.SERVING: {
        Event.TOOK_OVER: SupervisorState.SERVING,
        Event.FAILED: SupervisorState.OUTDATED,
        Event.TOOK_BACK: SupervisorState.OUTDATED,
        Event.CRASHED: SupervisorState.CRASHED,
        Event.STOPPED: SupervisorState.STOPPING,
    },
    SupervisorState.OUTDATED: {
        Event.TOOK_OVER: SupervisorState.SERVING,
        Event.FAILED: SupervisorState.OUTDATED,
        Event.TOOK_BACK: SupervisorState.OUTDATED,
        Event.CRASHED: SupervisorState.CRASHED,
        Event.RESTORED: SupervisorState.SERVING,
        Event.STOPPED: SupervisorState.STOPPING,
    },
    SupervisorState.REFUSED: {
        Event.TOOK_OVER: SupervisorState.SERVING,
        Event.FAILED: SupervisorState.REFUSED,
        Event.STOPPED: SupervisorState.STOPPING,
    },
    SupervisorState.CRASHED: {
        Event.TOOK_OVER: SupervisorState.SERVING,
        Event.FAILED: SupervisorState.REFUSED,
        Event.STOPPED: SupervisorState.STOPPING,
    },
    SupervisorState.STOPPING: dict.fromkeys(Event, SupervisorState.STOPPING),
}
