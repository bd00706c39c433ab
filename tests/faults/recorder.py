"""Clients that write and read at a fixed rate, regardless of the answers, and record every answer.

This is an open loop: the clock decides when a request is due, and its time is measured from then. Clients that wait
for an answer before the next request would hide a stall, because they send fewer requests during it.
"""

import asyncio
import itertools
import json
import math
import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.exchange import Broken, Exchange, Response, encode
from harness.sign_in import NOBODY, SignIn
from harness.tls import trusted
from tests.faults.ledger import Entry, Ledger, Verdict

ANSWERED_WITHIN = 25.0
"""Seconds after which a client gives up: longer than every time limit of the service and of the ingress."""

_MAX_IN_FLIGHT = 5000
_SETTLED_WITHIN = 60.0

NO_ANSWER = "no answer"
NO_RETRY_AFTER = "503 without Retry-After"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one request. Times are time.monotonic()."""

    due: float
    ended: float
    answer: str
    """The status, or the reason why there was no answer."""
    body: bytes = b""
    """Empty unless the request failed."""
    writes: bool = False

    @property
    def took(self) -> float:
        return self.ended - self.due

    @property
    def failed(self) -> bool:
        return not self.answer.startswith("2")

    @property
    def kind(self) -> str:
        """Either `2xx`, another status, NO_RETRY_AFTER, or NO_ANSWER."""
        if self.answer.isdecimal():
            return "2xx" if self.answer.startswith("2") else self.answer
        return self.answer if self.answer == NO_RETRY_AFTER else NO_ANSWER


@dataclass(slots=True)
class Recorder:
    """Sends `rate` requests a second: creations with and without a key, changes, deletions and reads."""

    url: str
    rate: float
    ledger: Ledger
    user: SignIn = NOBODY
    """Whose requests they are."""
    most: float = math.inf
    """How many requests are open at most; more are left out. Without it, a slow machine fails like a broken one."""
    outcomes: list[Outcome] = field(default_factory=list)
    _idle: deque[Exchange] = field(default_factory=deque)
    _untouched: deque[Entry] = field(default_factory=deque)
    """Acknowledged members that were not changed since: each is changed or deleted at most once."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _in_flight: int = 0
    _tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme == "https":
            self._tls = trusted(self.url)

    async def run(self) -> None:
        """Sends requests until stop() is called, then waits for the last answer."""
        turns = self._turns()
        begin = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number in itertools.count():
                due = begin + number / self.rate
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                if self._stopping.is_set():
                    return
                if self._in_flight >= self.most:
                    continue
                if self._in_flight < _MAX_IN_FLIGHT:
                    requests.create_task(next(turns)(due))
                else:
                    self.outcomes.append(Outcome(due, due + ANSWERED_WITHIN, "not sent, too many requests in flight"))

    async def run_for(self, seconds: float, rate: float) -> None:
        """Sends requests at another rate for some time, then waits for the last answer."""
        self.rate = rate
        self._stopping.clear()
        asyncio.get_running_loop().call_later(seconds, self.stop)
        await self.run()

    async def saturate(self, clients: int, seconds: float) -> float:
        """Runs clients that send the next request after each answer; returns how many answers a second they get."""
        turns, begin = self._turns(), time.monotonic()
        before = len(self.outcomes)

        async def client() -> None:
            while (now := time.monotonic()) < begin + seconds:
                await next(turns)(now)

        await asyncio.gather(*(client() for _ in range(clients)))
        answered = [outcome for outcome in self.outcomes[before:] if not outcome.failed]
        return len(answered) / (time.monotonic() - begin)

    def _turns(self) -> Iterator[Callable[[float], Coroutine[Any, Any, None]]]:
        create, keyed, read = self._create, self._create_with_key, self._read
        return itertools.cycle((create, keyed, read, self._change, keyed, create, read, self._delete, keyed, read))

    def leave_alone(self) -> None:
        """Members that are there now are neither changed nor deleted any more."""
        self._untouched.clear()

    def stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def settle(self) -> None:
        """Repeats each unacknowledged creation that has a key until it is acknowledged, as a client would do."""
        open_entries = [entry for entry in self.ledger.entries if entry.key and not entry.path]
        deadline = time.monotonic() + _SETTLED_WITHIN
        for entry in open_entries:
            while not entry.path and time.monotonic() < deadline:
                await self._send_creation(time.monotonic(), entry, record=False)
                if not entry.path:
                    await asyncio.sleep(0.2)

    async def verdict(self) -> Verdict:
        """Compares what was acknowledged with what is stored. Waits until the service can export."""
        async with httpx.AsyncClient(base_url=self.url, auth=self.user, timeout=60) as client:
            deadline = time.monotonic() + _SETTLED_WITHIN
            while True:
                async with client.stream("GET", f"{self.ledger.collection.path}/export") as response:
                    if response.status_code == 200:
                        return await self.ledger.check(response.aiter_lines())
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no export within {_SETTLED_WITHIN:g} s: {response.status_code}")
                await asyncio.sleep(0.5)

    async def _create(self, due: float) -> None:
        await self._send_creation(due, self.ledger.open(with_key=False))

    async def _create_with_key(self, due: float) -> None:
        await self._send_creation(due, self.ledger.open(with_key=True))

    async def _send_creation(self, due: float, entry: Entry, *, record: bool = True) -> None:
        body = self._body(entry.text)
        key = {"idempotency_key": entry.key} if entry.key else {}
        response = await self._request(due, "POST", self.ledger.collection.path, body, record=record, **key)
        if response is not None and response.status == 201:
            entry.created(response.header("location"))
            self._untouched.append(entry)

    async def _change(self, due: float) -> None:
        entry = self._untouched.popleft() if self._untouched else None
        if entry is None:
            return await self._read(due)
        body = self._body(entry.changing())
        # No other client changes this member, so a 412 would mean that the change was made twice.
        response = await self._request(due, "PUT", entry.path, body, if_match='"1"')
        if response is not None and response.status == 200:
            entry.changed()

    async def _delete(self, due: float) -> None:
        entry = self._untouched.popleft() if self._untouched else None
        if entry is None:
            return await self._read(due)
        entry.deleting()
        response = await self._request(due, "DELETE", entry.path)
        if response is not None and response.status == 204:
            entry.deleted()

    async def _read(self, due: float) -> None:
        await self._request(due, "GET", f"{self.ledger.collection.path}?limit=1")

    def _body(self, text: str) -> bytes:
        return json.dumps(self.ledger.collection.body(text)).encode()

    async def _request(
        self, due: float, method: str, path: str, body: bytes = b"", *, record: bool = True, **headers: str
    ) -> Response | None:
        self._in_flight += 1
        response, exchange = None, None
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                exchange = await self._exchange()
                address = urlsplit(self.url).netloc
                response = await exchange.ask(encode(method, path, address, body, **headers, **self.user.headers()))
                answer = str(response.status)
                if response.status == 503 and not response.header("retry-after"):
                    answer = NO_RETRY_AFTER
                self._idle.append(exchange)
        except TimeoutError:
            answer = f"no answer within {ANSWERED_WITHIN:g} s"
        except Broken as error:
            answer = str(error)
        finally:
            self._in_flight -= 1
            if response is None and exchange is not None:
                exchange.close()
        if record:
            body = response.body if response is not None and response.status >= 300 else b""
            self.outcomes.append(Outcome(due, time.monotonic(), answer, body, writes=method != "GET"))
        return response

    async def _exchange(self) -> Exchange:
        while self._idle:
            exchange = self._idle.pop()
            if exchange.usable:
                return exchange
        address = urlsplit(self.url)
        port = address.port or (443 if self._tls else 80)
        return await Exchange.open(address.hostname or "localhost", port, self._tls)


def kinds(outcomes: Sequence[Outcome]) -> Counter[str]:
    """Counts the outcomes by kind."""
    return Counter(outcome.kind for outcome in outcomes)


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncGenerator[Recorder]:
    """Sends requests while the block runs, and waits for the last answers at its end."""
    running = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        recorder.stop()
        await running
        recorder.close()
