"""Clients that create and read members of a collection, and record the answers (a closed loop)."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from harness.resource import Resource
from harness.sign_in import NOBODY, SignIn
from harness.tls import NO_TLS


@dataclass
class Record:
    """The answers that all clients got."""

    statuses: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Method, status and detail of the answers with 500 and above."""
    transport_errors: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    """The paths of the members whose creation was answered with 201."""
    without_retry_after: int = 0
    """How many answers with 503 had no Retry-After header."""
    longest: float = 0.0
    """Seconds that the slowest request took."""
    last_success: float = 0.0
    """When the last answer below 400 arrived, in time.monotonic()."""

    @property
    def answers(self) -> int:
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """The number of requests without an answer, or with a status of 500 and above."""
        return self.transport_errors.total() + sum(count for status, count in self.statuses.items() if status >= 500)

    def __str__(self) -> str:
        statuses = ", ".join(f"{count}x {status}" for status, count in sorted(self.statuses.items()))
        errors = "".join(f", {count}x {error}" for error, count in self.transport_errors.items())
        reasons = "".join(f"; {count}x {reason}" for reason, count in self.reasons.items())
        return f"{statuses}{errors}{reasons}; longest {self.longest * 1000:.0f} ms"


@asynccontextmanager
async def clients(
    url: str, count: int, resource: Resource, timeout: float = 30.0, *, pause: float = 0.0
) -> AsyncIterator[Record]:
    """Runs `count` clients while the block runs. Each sends its next request `pause` seconds after an answer."""
    record = Record()
    stop = asyncio.Event()
    numbers = itertools.count()
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
    async with httpx.AsyncClient(
        base_url=url, auth=resource.user, timeout=timeout, limits=limits, verify=NO_TLS
    ) as client:
        tasks = [asyncio.create_task(_client(client, record, stop, resource, numbers, pause)) for _ in range(count)]
        try:
            yield record
        finally:
            stop.set()
            await asyncio.gather(*tasks)


async def missing(url: str, paths: list[str], user: SignIn = NOBODY) -> list[str]:
    """Returns those of `paths` that the user does not find. Repeats a request that was answered with 503."""
    at_once = asyncio.Semaphore(16)  # httpx would count the time in its own queue against the timeout
    async with httpx.AsyncClient(base_url=url, auth=user, timeout=60, verify=NO_TLS) as client:

        async def is_there(path: str) -> bool:
            async with at_once:
                while (answer := await client.get(path)).status_code == 503:  # noqa: ASYNC110 - as Retry-After says
                    await asyncio.sleep(float(answer.headers["retry-after"]))
            return answer.status_code == 200

        there = await asyncio.gather(*map(is_there, paths))
    return [path for path, found in zip(paths, there, strict=True) if not found]


async def _client(
    client: httpx.AsyncClient,
    record: Record,
    stop: asyncio.Event,
    resource: Resource,
    numbers: Iterator[int],
    pause: float,
) -> None:
    last = resource.read
    while not stop.is_set():
        created = await _request(client, record, "POST", resource.path, resource.body(next(numbers)))
        if created is not None and created.status_code == 201:
            last = created.headers["location"]
            record.acknowledged.append(last)
        await asyncio.sleep(pause)
        await _request(client, record, "GET", last)
        await asyncio.sleep(pause)


async def _request(
    client: httpx.AsyncClient, record: Record, method: str, path: str, body: dict[str, Any] | None = None
) -> httpx.Response | None:
    begin = time.monotonic()
    response = None
    try:
        response = await client.request(method, path, json=body)
        record.statuses[response.status_code] += 1
    except httpx.TransportError as error:
        record.transport_errors[type(error).__name__] += 1
    if response is not None and response.status_code >= 500:
        record.reasons[f"{method} {response.status_code} {_detail(response)}"] += 1
    end = time.monotonic()
    record.longest = max(record.longest, end - begin)
    if response is not None and response.status_code < 400:
        record.last_success = end
    elif response is not None and response.status_code == 503 and "retry-after" not in response.headers:
        record.without_retry_after += 1
    return response


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError):
        return response.text
