"""A steady load on one port: requests begin by the clock, however long those before them take (an open loop)."""

import asyncio
import itertools
import json
import re
import time
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CONNECTIONS = 16
ANSWERED_WITHIN = 20.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_VERSION = re.compile(rb"\r\nx-service-version: *([^\r]+)", re.IGNORECASE)
_INSTANCE = re.compile(rb"\r\nx-service-instance: *([^\r]+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: */notes/([^\r]+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request. Times are time.time(), to be compared with those of files."""

    connection: int
    method: str
    begun: float
    ended: float
    status: int
    """0: there was no answer."""
    version: str
    instance: str
    note: str
    """The id of a note that was acknowledged."""
    body: bytes
    """Kept of failures only."""

    @property
    def failed(self) -> bool:
        return not 200 <= self.status < 300


@dataclass(slots=True)
class Connection:
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(slots=True)
class Load:
    """`rate` requests a second, GET and POST in turn or GET only, on connections that are used in turn."""

    port: int
    rate: float
    posts: bool = True
    keys: bool = True
    """Whether a POST has an Idempotency-Key, so that the ingress may repeat it."""
    answers: list[Answer] = field(default_factory=list)
    _idle: deque[Connection] = field(default_factory=deque)
    _opened: int = 0
    _stopping: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.failed]

    @property
    def notes(self) -> set[str]:
        """Every note that was acknowledged."""
        return {answer.note for answer in self.answers if answer.note}

    async def first(self, version: str, *, since: int = 0, within: float = 30) -> Answer:
        """The first answer of a version, among those after the first `since`."""
        async with asyncio.timeout(within):
            seen = since
            while True:
                for answer in self.answers[seen:]:
                    if answer.version == version:
                        return answer
                seen = len(self.answers)
                await self._next()

    async def more(self, count: int, within: float = 30) -> list[Answer]:
        """The next `count` answers."""
        begin = len(self.answers)
        async with asyncio.timeout(within):
            while len(self.answers) < begin + count:
                await self._next()
        return self.answers[begin:]

    def outdated(self, versions: list[str]) -> list[Answer]:
        """Answers of a version to requests that began after a later one of `versions` had answered."""
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
        """Until stop(), and then until the last answer."""
        for _ in range(CONNECTIONS):
            self._idle.append(await self._connect())
        begin, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping:
                tasks.create_task(self._one(number))
                number += 1
                await asyncio.sleep(begin + number / self.rate - time.monotonic())

    async def _one(self, number: int) -> None:
        method = "POST" if self.posts and number % 2 else "GET"
        begun = time.time()
        status, version, instance, note, body, connection = 0, "", "", "", b"", None
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                connection = self._idle.popleft() if self._idle else await self._connect()
                connection.writer.write(self._request(method, number))
                head = await connection.reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await connection.reader.readexactly(int(length[1])) if length else b""
            status = int(head.split(b" ", 2)[1])
            version = found[1].decode() if (found := _VERSION.search(head)) else ""
            instance = found[1].decode() if (found := _INSTANCE.search(head)) else ""
            note = found[1].decode() if method == "POST" and (found := _LOCATION.search(head)) else ""
            if _CLOSE.search(head):
                connection.writer.close()
            else:
                self._idle.append(connection)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            body = repr(error).encode()
            if connection is not None:
                connection.writer.close()
        kept = body if not 200 <= status < 300 else b""
        opened = connection.number if connection else 0
        self.answers.append(Answer(opened, method, begun, time.time(), status, version, instance, note, kept))
        self._news.set()

    def _request(self, method: str, number: int) -> bytes:
        lines = [f"{method} {'/notes' if method == 'POST' else '/'} HTTP/1.1", f"host: localhost:{self.port}"]
        lines += ["user-agent: load", "accept: application/json"]
        body = b""
        if method == "POST":
            body = json.dumps({"title": f"Load {number}"}).encode()
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
            if self.keys:
                lines.append(f"idempotency-key: load-{id(self)}-{time.time_ns()}-{number}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def _connect(self) -> Connection:
        self._opened += 1
        return Connection(self._opened, *await asyncio.open_connection("127.0.0.1", self.port))

    def close(self) -> None:
        while self._idle:
            self._idle.popleft().writer.close()


def _index(versions: list[str], answer: Answer) -> int:
    return versions.index(answer.version) if answer.version in versions else -1


@asynccontextmanager
async def loaded(load: Load) -> AsyncGenerator[Load]:
    """Sends requests while the block lasts, and waits for the last answers at its end."""
    running = asyncio.create_task(load.run())
    try:
        await load.more(1)
        yield load
    finally:
        load.stop()
        await running
        load.close()
