"""The running process hands its last requests to a new one, which replays them before it reports that it is ready.

Over a Unix socket the running process sends each request as a line, then an empty line. For each number of a request
that it gets it replays that one itself, and answers `failed` or `fine`. So new code is refused only for what the
running code can do now, in the same way: data may have changed, and not everything can run in a transaction.

To `statements` it answers with all its SQL, names and texts as JSON: service/migrate/ asks before it changes the
schema.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from logging import getLogger
from typing import Any

import orjson

from service.rehearsal.player import Outcome, Player
from service.rehearsal.recorder import Recorder, Request
from service.rehearsal.refusal import explain
from service.rehearsal.statements import statements
from service.settings import Settings

logger = getLogger(__name__)

_AT_ONCE = 3
_STALLED_AFTER = 0.02
"""Seconds. Requests are replayed one after the other, because to open another connection takes longer than most of
them. Only if they are not all done by then, a second one is begun beside them, and then a third."""

_LONGEST_LINE = 2**20
_ANSWERED_WITHIN = 1.0  # s, by the running process
_FAILED, _FINE = b"failed\n", b"fine\n"
_STATEMENTS = b"statements\n"


class Rehearsal:
    """Both sides: the same process first replays the requests of another one, then hands over its own."""

    def __init__(self, settings: Settings, app: Any) -> None:
        """`app` is what a Player needs."""
        self.recorder = Recorder()
        self._player = Player(app)
        self._path = settings.rehearsal_socket or ""
        self._budget = settings.rehearsal_budget
        self._server: asyncio.Server | None = None

    async def offer(self) -> None:
        """Hand over the requests to whoever asks from now on, instead of the process that did so before."""
        if self._server is not None:
            self._server.close()
        listener = socket.socket(socket.AF_UNIX)
        new = f"{self._path}.new"
        try:
            listener.bind(new)
            os.rename(new, self._path)  # at no moment is there none
            self._server = await asyncio.start_unix_server(self._hand_over, sock=listener, limit=_LONGEST_LINE)
        except OSError as error:
            listener.close()
            logger.warning("the next code is not rehearsed: %s", error)

    async def _hand_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = self.recorder.requests
        try:
            writer.writelines([*(request.encode() for request in requests), b"\n"])
            while line := await reader.readline():
                if line == _STATEMENTS:
                    writer.write(orjson.dumps(statements()) + b"\n")
                    continue
                outcome = await self._player.play(requests[int(line)])
                writer.write(_FAILED if outcome.failed else _FINE)
        except OSError:
            pass  # the new process has ended
        finally:
            writer.close()

    async def run(self, doing: Callable[[str], None], remark: Callable[[str], None]) -> str:
        """Replay the requests of the running process. Returns why this code must not serve, or an empty text.

        `doing` is told what is being replayed, `remark` what a person should know of a rehearsal that left out some.
        """
        writer = None
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST_LINE)
                requests = []
                while line := (await reader.readline()).strip():
                    requests.append(Request.decode(line))
            outcomes = await self._play(requests, doing)
            for number, outcome in outcomes.items():
                if outcome.failed and await _running_code_answers(number, reader, writer):
                    return explain(requests[number], outcome)
        except (FileNotFoundError, ConnectionRefusedError):  # nothing serves
            return ""
        except TimeoutError:
            remark("no request rehearsed, because the running code did not hand them over in time")
            return ""
        except Exception as error:  # of the rehearsal: the code that shall serve is not at fault
            remark(f"no request rehearsed, because of {type(error).__name__}: {error}")
            return ""
        finally:
            if writer is not None:
                writer.close()
        rehearsed = sum(not outcome.undecided for outcome in outcomes.values())
        if rehearsed < len(requests):
            remark(f"{rehearsed} of {len(requests)} requests rehearsed")
        # They are the last requests of this process too, until clients send others.
        self.recorder.keep(_answered(requests[n], outcomes.get(n)) for n in reversed(range(len(requests))))
        return ""

    async def _play(self, requests: list[Request], doing: Callable[[str], None]) -> dict[int, Outcome]:
        """The outcomes of those that got their turn, by their numbers."""
        outcomes: dict[int, Outcome] = {}
        waiting = iter(enumerate(requests))
        playing: list[str] = []
        loop = asyncio.get_running_loop()
        end = loop.time() + self._budget

        async def play() -> None:
            for number, request in waiting:
                if loop.time() > end:
                    return
                playing.append(str(request))
                doing(", ".join(playing))
                outcomes[number] = await self._player.play(request)
                playing.remove(str(request))
                doing(", ".join(playing))

        with suppress(TimeoutError):
            async with asyncio.timeout_at(end + self._budget), asyncio.TaskGroup() as tasks:
                first = tasks.create_task(play())
                for _ in range(_AT_ONCE - 1):
                    done, _ = await asyncio.wait({first}, timeout=_STALLED_AFTER)
                    if done:
                        break
                    tasks.create_task(play())
        return outcomes


async def _running_code_answers(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the running code does not fail this request, as far as it can be asked."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_ANSWERED_WITHIN):
            writer.write(b"%d\n" % number)
            return await reader.readline() != _FAILED
    return True


def _answered(request: Request, outcome: Outcome | None) -> Request:
    if outcome is None or outcome.failed or outcome.undecided:
        return request
    return replace(request, status=outcome.status)
