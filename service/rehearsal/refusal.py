"""Says in one line which request new code fails and where, and then how it came there."""

import traceback
from pathlib import Path

import asyncpg

import service
from service.rehearsal.player import Outcome
from service.rehearsal.recorder import Request

_PACKAGE = Path(service.__file__).parent
_FRAMES = 10
_DATABASE = {"database", "rehearsal"}
"""The folders between a handler and its statement."""


def explain(request: Request, outcome: Outcome) -> str:
    """Lines for a person, the first one like `service/errors.py:7: GET /: KeyError: 'name'`."""
    error = outcome.error
    if error is None:
        answer = f"is answered with {outcome.status}" if outcome.status else "is not answered"
        return f"{request} {answer}; the running code answered {request.status}\n"
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    summary = f"{request}: {type(error).__name__}: {error}".strip().splitlines()[0]
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parents
    ]
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        # A statement is wrong where it is called, not where the machinery sends it.
        frames = [frame for frame in frames if not _DATABASE.intersection(Path(_shown(frame)).parts)] or frames
    if not frames:
        return f"{summary}\n"
    lines = [f"{_shown(frames[-1])}:{frames[-1].lineno}: {summary}"]
    for frame in frames[: -_FRAMES - 1 : -1]:
        lines.append(f"    {frame.line}    ({_shown(frame)}:{frame.lineno}, {frame.name})")
    return "\n".join(lines) + "\n"


def _shown(frame: traceback.FrameSummary) -> str:
    return str(Path(frame.filename).relative_to(_PACKAGE.parent))
