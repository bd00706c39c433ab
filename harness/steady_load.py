"""A steady load on one port: requests start at a fixed rate, no matter how long earlier ones take (an open loop)."""

import asyncio
import itertools
import json
import math
import time
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from harness.exchange import Broken, Exchange, encode
from harness.resource import Resource

CONNECTIONS = 16
"""How many are opened at the start; more are opened when all of them are busy."""

ANSWERED_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one request. Times are time.time(), so that they can be compared with those of files."""

    method: str
    begun: float
    ended: float
    status: int
    """0 if there was no answer."""
    version: str
    instance: str
    created: str
    """The id of what the request created; empty if the answer was not 201."""
    body: bytes
    """Only kept for failures; without an answer it is the error."""

    @property
    def failed(self) -> bool:
        return not 200 <= self.status < 300


@dataclass(slots=True)
class Load:
    """`rate` requests a second, alternating between GET and POST or only GET, on connections that take turns.

    The rate may be changed while it runs.
    """

    port: int
    rate: float
    resource: Resource
    posts: bool = True
    keys: bool = True
    """Whether a POST has an Idempotency-Key, which allows the ingress to repeat it."""
    most: float = math.inf
    """Starts no request while so many are in flight: when a busy machine stalls, the ingress would refuse them."""
    answers: list[Answer] = field(default_factory=list)
    _idle: deque[Exchange] = field(default_factory=deque)
    _in_flight: int = 0
    _stopping: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.failed]

    @property
    def created(self) -> set[str]:
        """The ids of everything whose creation was acknowledged."""
        return {answer.created for answer in self.answers if answer.created}

    async def first(self, version: str, *, since: int = 0, within: float = 60) -> Answer:
        """Waits for the first answer of a version, ignoring the first `since` answers. Raises TimeoutError."""
        async with asyncio.timeout(within):
            seen = since
            while True:
                for answer in self.answers[seen:]:
                    if answer.version == version:
                        return answer
                seen = len(self.answers)
                await self._next()

    async def more(self, count: int, within: float = 60) -> list[Answer]:
        """Waits for the next `count` answers. Raises TimeoutError."""
        begin = len(self.answers)
        async with asyncio.timeout(within):
            while len(self.answers) < begin + count:
                await self._next()
        return self.answers[begin:]

    def outdated(self, versions: list[str]) -> list[Answer]:
        """The answers of an old version to requests that started after a newer one had already answered.

        `versions` are in the order in which they were saved.
        """
        answers = sorted(self.answers, key=lambda answer: answer.ended)
        ends = [answer.ended for answer in answers]
        newest = list(itertools.accumulate((_index(versions, answer) for answer in answers), max))
        return [
            answer
            for answer in answers
            if answer.version
            and (before := bisect_left(ends, answer.begun)) > 0
            and newest[before - 1] > _index(versions, answer)
        ]

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()

    def stop(self) -> None:
        self._stopping = True

    async def run(self) -> None:
        """Sends requests until stop() is called, then waits for the last answer."""
        for _ in range(CONNECTIONS):
            self._idle.append(await self._open())
        due, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping:
                while self._in_flight >= self.most:
                    await self._next()
                self._in_flight += 1
                tasks.create_task(self._one(number))
                number += 1
                due += 1 / self.rate
                await asyncio.sleep(due - time.monotonic())

    async def _one(self, number: int) -> None:
        method = "POST" if self.posts and number % 2 else "GET"
        begun = time.time()
        status, version, instance, created, body, exchange = 0, "", "", "", b"", None
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                # A connection that the server closed in the meantime is not skipped: its request counts as failed.
                exchange = self._idle.popleft() if self._idle else await self._open()
                response = await exchange.ask(self._request(method, number))
            status, version = response.status, response.header("x-service-version")
            instance = response.header("x-service-instance")
            created = response.header("location").removeprefix(f"{self.resource.path}/") if status == 201 else ""
            body = b"" if 200 <= status < 300 else response.body
            if exchange.usable:
                self._idle.append(exchange)
        except (TimeoutError, Broken) as error:
            body = repr(error).encode()
            if exchange is not None:
                exchange.close()
        self._in_flight -= 1
        self.answers.append(Answer(method, begun, time.time(), status, version, instance, created, body))
        self._news.set()

    def _request(self, method: str, number: int) -> bytes:
        headers = {"accept": "application/json", **self.resource.user.headers()}
        if method == "POST" and self.keys:
            headers["idempotency_key"] = f"load-{id(self)}-{time.time_ns()}-{number}"
        path, body = self.resource.read, b""
        if method == "POST":
            path, body = self.resource.path, json.dumps(self.resource.body(number)).encode()
        return encode(method, path, f"localhost:{self.port}", body, **headers)

    async def _open(self) -> Exchange:
        return await Exchange.open("127.0.0.1", self.port)

    def close(self) -> None:
        while self._idle:
            self._idle.popleft().close()


def _index(versions: list[str], answer: Answer) -> int:
    return versions.index(answer.version) if answer.version in versions else -1


@asynccontextmanager
async def loaded(load: Load) -> AsyncGenerator[Load]:
    """Sends requests while the block runs, and waits for the last answers at its end."""
    running = asyncio.create_task(load.run())
    try:
        await load.more(1)
        yield load
    finally:
        load.stop()
        await running
        load.close()
