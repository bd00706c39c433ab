"""Replays one request to the application, as a client that nobody sees."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from service.rehearsal.cost import Cost, measured
from service.rehearsal.recorder import Request
from service.rehearsal.rollback import Attempt, current
from service.web.endpoint import Kind
from service.web.routing import match_of

_NOT_THE_CODE = {503, 504}  # the database is away, or the machine is slow


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    """0 if there was no whole answer."""
    error: BaseException | None = None
    """What the handler raised, if nothing but the service itself handled it."""
    cost: Cost | None = None
    """None if no answer began."""

    @property
    def failed(self) -> bool:
        """Whether the code is at fault."""
        return self.status == 0 or (self.status >= 500 and not self.undecided)

    @property
    def undecided(self) -> bool:
        return self.status in _NOT_THE_CODE


class _EnoughError(Exception):
    """A stream has begun; the rest is not needed."""


class Player:
    def __init__(self, app: Any) -> None:
        """`app` is an ASGI application whose metrics nobody sees and whose limits are no obstacle."""
        self._app = app
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_seen)

    async def play(self, request: Request) -> Outcome:
        """Replay a request until its answer is complete or, if it is a stream, begins."""
        scope: Any = _scope(request)
        body = [{"type": "http.request", "body": request.body.encode("latin-1"), "more_body": False}]
        status, complete, attempt = 0, False, Attempt()
        cost: Cost | None = None

        async def receive() -> Any:
            return body.pop() if body else await asyncio.get_running_loop().create_future()

        async def send(event: Any) -> None:
            nonlocal status, complete, cost
            if event["type"] == "http.response.start":
                status, cost = event["status"], meter.cost
                return
            complete = not event.get("more_body", False)
            if not complete and event.get("body") and match_of(scope).kind is not Kind.REQUEST:
                complete = attempt.judged = True
                raise _EnoughError

        before = current.set(attempt)
        try:
            with measured() as meter:
                await self._app(scope, receive, send)
        except _EnoughError:
            pass
        except Exception as error:
            attempt.error = error
            status = 0
        finally:
            current.reset(before)
            await attempt.end()
        return Outcome(status if complete else 0, attempt.error, cost)


def _scope(request: Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.raw_path.encode("latin-1"),
        "query_string": request.query_string.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
        "state": {},
        "extensions": {},
    }


def _is_seen(record: logging.LogRecord) -> bool:
    """Whether a line is logged. Those of a rehearsed request are not; the service logs what its handler raises."""
    attempt = current.get()
    if attempt is None or attempt.over:
        return True
    if record.exc_info and not attempt.judged:
        attempt.error = record.exc_info[1]
    return False
