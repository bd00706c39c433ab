"""The running process hands its last requests to a new one, which replays them before it reports that it is ready.

What the new code fails, the running process has to replay too. So new code is refused only for what the running code
can do now, in the same way: data may have changed, and not everything can run in a transaction.

Once the new code serves, what seems to cost it much more or less is replayed on both sides and measured. Before that
it would delay the reload; and a process that has just started is slow in its first answers.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from logging import getLogger
from typing import Any

from service.rehearsal.cost import Change, Meter
from service.rehearsal.player import Outcome, Player
from service.rehearsal.recorder import Recorder, Request
from service.rehearsal.refusal import explain
from service.rehearsal.running import LONGEST_LINE, Answers, RunningProcess
from service.settings import Settings
from service.web.openapi import DOCUMENT

logger = getLogger(__name__)

_PATIENCE = 0.04  # s that a request is waited for before the next one begins: side by side, each needs a connection
_ANSWERED_WITHIN = 1.0  # s; more if the budget is larger
_LONGEST = 10  # times the budget that a rehearsal may take on a machine that has no CPU for it
_MEASURED = 7  # times; fewer if that takes more than
_MEASURED_WITHIN = 0.6  # s
_COMPARED_WITHIN = 1.5  # s; the process that served before leaves soon after


class Rehearsal:
    """Both sides: the same process first replays the requests of another one, then hands over its own."""

    def __init__(
        self, settings: Settings, app: Any, describe: Callable[[], Any], show: Callable[[str], None]
    ) -> None:
        """`app` is what a Player needs, the others are what Answers needs."""
        self.recorder = Recorder()
        self._player = Player(app)
        self._describe = describe
        self._answers = Answers(self.recorder, self._player, describe, show)
        self._asking: asyncio.Task[list[Request]] | None = None
        self._path = settings.rehearsal_socket or ""
        self._version = settings.version
        self._same_document = False
        """Whether `/openapi.json` of this code cannot be another one than that of the running code."""
        self._budget = settings.rehearsal_budget
        self._server: asyncio.Server | None = None
        self._before: RunningProcess | None = None
        """The process that this one may take over from."""
        self._changes: list[tuple[int, Request, Change]] = []
        """What seemed to change in the rehearsal: the number of the request there, the request, and its costs."""

    async def offer(self) -> None:
        """Hand over the requests to whoever asks from now on, instead of the process that did so before."""
        if self._server is not None:
            self._server.close()
        listener = socket.socket(socket.AF_UNIX)
        new = f"{self._path}.new"
        try:
            listener.bind(new)
            os.rename(new, self._path)  # at no moment is there none
            self._server = await asyncio.start_unix_server(self._answers.to, sock=listener, limit=LONGEST_LINE)
        except OSError as error:
            listener.close()
            logger.warning("the next code is not rehearsed: %s", error)

    def ask(self) -> None:
        """Get the requests of the running process in the background, while this one waits for the database."""
        self._asking = asyncio.create_task(self._ask())
        self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # run() may never get it

    async def _ask(self) -> list[Request]:
        self._before = await RunningProcess.at(self._path, max(_ANSWERED_WITHIN, self._budget))
        requests = await self._before.requests()
        self._same_document = await self._before.same() == self._version
        if any(request.route == DOCUMENT for request in requests) and not self._same_document:
            with suppress(Exception):  # the rehearsed request raises it again
                self._describe()  # which takes long, and keeps what it has made
        return requests

    async def run(self, doing: Callable[[str], None], remark: Callable[[str], None]) -> str:
        """Replay the requests that ask() gets. Returns why this code must not serve, or an empty text.

        `doing` is told what is being replayed, `remark` what a person should know of a rehearsal that left out some.
        """
        try:
            requests = await self._asking if self._asking else []
            outcomes = await self._play(requests, doing)
            for number, outcome in outcomes.items():
                if outcome.failed and await self._running_code_answers(number):
                    return explain(requests[number], outcome)
        except (FileNotFoundError, ConnectionRefusedError):  # nothing serves
            return ""
        except TimeoutError:
            remark("no request rehearsed, because the running code did not hand them over in time")
            return ""
        except Exception as error:  # of the rehearsal: the code that shall serve is not at fault
            remark(f"no request rehearsed, because of {type(error).__name__}: {error}")
            return ""
        rehearsed = sum(not outcome.undecided for outcome in outcomes.values())
        if rehearsed < len(requests):
            remark(f"{rehearsed} of {len(requests)} requests rehearsed")
        self._changes = [
            (number, requests[number], change)
            for number, outcome in outcomes.items()
            if (change := _change(requests[number], outcome)) and change.is_large
        ]
        # They are the last requests of this process too, until clients send others.
        self.recorder.keep(_answered(requests[n], outcomes.get(n)) for n in reversed(range(len(requests))))
        return ""

    async def compare(self) -> list[str]:
        """Which routes cost much more or less than on the code before, such as `GET /: 1 -> 21 statements`.

        To be called when this process has taken over. Only what several measurements on both sides confirm is said.
        """
        found: dict[str, str] = {}
        before, self._before = self._before, None
        if before is None:
            return []
        try:
            async with asyncio.timeout(_COMPARED_WITHIN):
                for number, request, change in sorted(self._changes, key=lambda item: not item[2].in_statements):
                    if await self._confirm(before, number, request, change):
                        found.setdefault(f"{request.method} {request.route}", str(change))
        except OSError:  # TimeoutError too: one of both is busy, or the process before has ended
            pass
        except Exception:
            logger.warning("the costs of old and new code are not compared", exc_info=True)
        finally:
            before.close()
            self._changes = []
        return [f"{route}: {change}" for route, change in found.items()]

    async def _confirm(self, before: RunningProcess, number: int, request: Request, change: Change) -> bool:
        loop = asyncio.get_running_loop()
        enough = loop.time() + _MEASURED_WITHIN
        for _ in range(_MEASURED):
            old, new = await before.replay(number), await self._player.play(request)
            if not (old.status == new.status == request.status and old.cost and new.cost):
                return False
            change.measure(old.cost, new.cost)
            if not change.in_time or loop.time() > enough:  # once is enough for what is counted
                break
        return change.is_large

    async def _running_code_answers(self, number: int) -> bool:
        """Whether it does not fail this request, as far as it can be asked."""
        with suppress(TimeoutError, OSError):
            return self._before is None or not (await self._before.replay(number)).failed
        return True

    async def _play(self, requests: list[Request], doing: Callable[[str], None]) -> dict[int, Outcome]:
        """The outcomes of those that got their turn, by their numbers."""
        outcomes: dict[int, Outcome] = {}
        playing: list[str] = []
        meter = Meter()

        def is_over(times: int) -> bool:
            """Whether so many times the budget is used up. Waiting for a CPU uses nothing up, but not for ever."""
            spent = meter.cost
            return max(spent.at_least, spent.milliseconds / _LONGEST) > times * self._budget * 1000

        async def play(number: int, request: Request) -> None:
            if self._same_document and request.route == DOCUMENT:
                outcomes[number] = Outcome(request.status, cost=request.cost)
                return
            playing.append(str(request))
            doing(", ".join(playing))
            outcomes[number] = await self._player.play(request)
            playing.remove(str(request))
            if playing:
                doing(", ".join(playing))

        async with asyncio.TaskGroup() as tasks:
            pending = set[asyncio.Task[None]]()
            for number, request in enumerate(requests):
                if is_over(1):
                    break
                task = tasks.create_task(play(number, request))
                pending.add(task)
                await asyncio.wait([task], timeout=_PATIENCE)
            while pending and not is_over(2):
                _, pending = await asyncio.wait(pending, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
        return outcomes


def _change(request: Request, outcome: Outcome) -> Change | None:
    """None if nothing can be compared: another answer is other work."""
    if request.route is None or request.cost is None or outcome.cost is None:
        return None
    return Change(request.cost, outcome.cost) if outcome.status == request.status < 400 else None


def _answered(request: Request, outcome: Outcome | None) -> Request:
    if outcome is None or outcome.failed or outcome.undecided:
        return request
    return replace(request, status=outcome.status, cost=outcome.cost)
