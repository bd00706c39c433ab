"""Clients that write and read at a fixed rate, whatever the answers, and remember what they were told.

An open loop: a request is due by the clock, and its time counts from then. Clients that wait for one answer before
they ask again would hide a stall: they ask less while it lasts.
"""

import asyncio
import itertools
import json
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.exchange import Answer, Broken, Exchange, encode
from tests.faults.ledger import Entry, Ledger, Verdict

ANSWERED_WITHIN = 25.0
"""Seconds after which a client gives up: longer than any limit of the service and the ingress."""

_MOST_IN_FLIGHT = 5000
_SETTLED_WITHIN = 60.0

NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request. Times are time.monotonic()."""

    due: float
    ended: float
    answer: str
    """Its status, or why there was none."""
    body: bytes = b""
    """Of failures."""

    @property
    def took(self) -> float:
        return self.ended - self.due

    @property
    def failed(self) -> bool:
        return not self.answer.startswith("2")

    @property
    def kind(self) -> str:
        """`2xx`, another status, or NO_ANSWER."""
        if self.answer.isdecimal():
            return "2xx" if self.answer.startswith("2") else self.answer
        return NO_ANSWER


@dataclass(slots=True)
class Recorder:
    """`rate` requests a second: creations with a key and without, changes, deletions and reads."""

    url: str
    rate: float
    ledger: Ledger
    headers: Callable[[], dict[str, str]] = dict
    """More headers of each request."""
    outcomes: list[Outcome] = field(default_factory=list)
    _idle: deque[Exchange] = field(default_factory=deque)
    _untouched: deque[Entry] = field(default_factory=deque)
    """Notes that were acknowledged and not changed since: each is changed or deleted at most once."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _in_flight: int = 0

    async def run(self) -> None:
        """Until stop(), and then until the last answer."""
        turns = self._turns()
        begin = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number in itertools.count():
                due = begin + number / self.rate
                if (pause := due - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
                if self._stopping.is_set():
                    return
                if self._in_flight < _MOST_IN_FLIGHT:
                    requests.create_task(next(turns)(due))
                else:
                    self.outcomes.append(Outcome(due, due + ANSWERED_WITHIN, "not sent, too many are waiting"))

    async def run_for(self, seconds: float, rate: float) -> None:
        """At another rate, for a time, and then until the last answer."""
        self.rate = rate
        self._stopping.clear()
        asyncio.get_running_loop().call_later(seconds, self.stop)
        await self.run()

    async def saturate(self, clients: int, seconds: float) -> float:
        """Answers a second to that many clients, each of which asks again as soon as it is answered."""
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

    def stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def since(self, begin: float) -> Sequence[Outcome]:
        """The outcomes of requests that were due since then."""
        return [outcome for outcome in self.outcomes if outcome.due >= begin]

    async def settle(self) -> None:
        """Repeat each creation with a key that was not acknowledged, as its client would, until it is."""
        open_entries = [entry for entry in self.ledger.entries if entry.key and not entry.path]
        deadline = time.monotonic() + _SETTLED_WITHIN
        for entry in open_entries:
            while not entry.path and time.monotonic() < deadline:
                await self._send_creation(time.monotonic(), entry, record=False)
                if not entry.path:
                    await asyncio.sleep(0.2)

    async def verdict(self) -> Verdict:
        """Compare what was acknowledged with what is there. Waits for the service to be able to say."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            deadline = time.monotonic() + _SETTLED_WITHIN
            while True:
                async with client.stream("GET", "/notes/export") as response:
                    if response.status_code == 200:
                        return await self.ledger.check(response.aiter_lines())
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no export within {_SETTLED_WITHIN:g} s: {response.status_code}")
                await asyncio.sleep(0.5)

    # What is asked, in turn.

    async def _create(self, due: float) -> None:
        await self._send_creation(due, self.ledger.open(with_key=False))

    async def _create_with_key(self, due: float) -> None:
        await self._send_creation(due, self.ledger.open(with_key=True))

    async def _send_creation(self, due: float, entry: Entry, *, record: bool = True) -> None:
        body = json.dumps({"title": entry.title}).encode()
        key = {"idempotency_key": entry.key} if entry.key else {}
        answer = await self._request(due, "POST", "/notes", body, record=record, **key)
        if answer is not None and answer.status == 201:
            entry.created(answer.location)
            self._untouched.append(entry)

    async def _change(self, due: float) -> None:
        entry = self._untouched.popleft() if self._untouched else None
        if entry is None:
            return await self._read(due)
        entry.changing("changed")
        body = json.dumps({"title": entry.title, "body": "changed"}).encode()
        # Nobody else changes it: a 412 would say that this was done, and then done again.
        answer = await self._request(due, "PUT", entry.path, body, if_match='"1"')
        if answer is not None and answer.status == 200:
            entry.changed("changed")

    async def _delete(self, due: float) -> None:
        entry = self._untouched.popleft() if self._untouched else None
        if entry is None:
            return await self._read(due)
        entry.deleting()
        answer = await self._request(due, "DELETE", entry.path)
        if answer is not None and answer.status == 204:
            entry.deleted()

    async def _read(self, due: float) -> None:
        await self._request(due, "GET", "/notes?limit=1")

    async def _request(
        self, due: float, method: str, path: str, body: bytes = b"", *, record: bool = True, **headers: str
    ) -> Answer | None:
        self._in_flight += 1
        answer, exchange = None, None
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                exchange = await self._exchange()
                address = urlsplit(self.url).netloc
                answer = await exchange.ask(encode(method, path, address, body, **headers, **self.headers()))
                said = str(answer.status)
                self._idle.append(exchange)
        except TimeoutError:
            said = f"nothing within {ANSWERED_WITHIN:g} s"
        except Broken as error:
            said = str(error)
        finally:
            self._in_flight -= 1
            if answer is None and exchange is not None:
                exchange.close()
        if record:
            body = answer.body if answer is not None and answer.status >= 300 else b""
            self.outcomes.append(Outcome(due, time.monotonic(), said, body))
        return answer

    async def _exchange(self) -> Exchange:
        while self._idle:
            exchange = self._idle.pop()
            if exchange.usable:
                return exchange
        address = urlsplit(self.url)
        return await Exchange.open("127.0.0.1", address.port or 80)


def kinds(outcomes: Sequence[Outcome]) -> Counter[str]:
    """How many there were of each kind."""
    return Counter(outcome.kind for outcome in outcomes)


@asynccontextmanager
async def recording(recorder: Recorder) -> AsyncGenerator[Recorder]:
    """Sends requests while the block lasts, and waits for the last answers at its end."""
    running = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        recorder.stop()
        await running
        recorder.close()
