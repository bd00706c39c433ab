"""Injects every fault into a workbench under load, and prints one table.

After that it applies more load than the service can answer, and crowds of clients. Exits with status 1 if a write was
lost or done twice, or if clients got unexpected answers.
"""

import argparse
import asyncio
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from tests.faults import disk
from tests.faults.faults import Fault
from tests.faults.overload import overloaded
from tests.faults.site import Service, Site, site
from tests.faults.table import HEAD, row
from tests.faults.trial import complaints, trial

Crowd = Callable[[Site, float], Awaitable[str]]
"""Takes a workbench and a rate of requests; returns a line with the figures."""

_say = partial(print, flush=True)


@dataclass(frozen=True, slots=True)
class Program:
    service: Service
    faults: Sequence[Fault]
    crowds: Sequence[Crowd]

    def run(self, name: str) -> int:
        """Runs as `python -m name`. Returns the exit status."""
        parser = argparse.ArgumentParser(prog=f"python -m {name}")
        parser.add_argument("--rate", type=float, default=100, help="requests a second; %(default)g")
        parser.add_argument(
            "--only", default="", help="only faults whose name contains this text; load: only the overload"
        )
        parser.add_argument("--overloaded-for", type=float, default=60, help="seconds of overload; %(default)g")
        chosen = parser.parse_args()
        wrong = asyncio.run(self._run(chosen.rate, chosen.only, chosen.overloaded_for))
        for line in wrong:
            _say(line)
        return 1 if wrong else 0

    async def _run(self, rate: float, only: str, overloaded_for: float) -> list[str]:
        """Returns what went wrong."""
        wrong: list[str] = []
        today, python = f"{datetime.now(UTC):%Y-%m-%d}", platform.python_version()
        _say(f"{today}, Python {python}, {rate:g} requests a second to {self.service.collection.path}, 2 replicas")
        _say(HEAD)
        for where in ("anywhere", "small disk", "network"):
            faults = [fault for fault in self.faults if fault.where == where and only in fault.name]
            if not faults:
                continue
            if where == "small disk" and not disk.possible():
                names = ", ".join(fault.name for fault in faults)
                _say(f"skipped, a small file system needs root on Linux: {names}")
                continue
            async with self._workbench(where) as here:
                wrong += await _inject(here, rate, faults)
        if only in {"", "load"}:
            # The gateway's limit for each user is below what the service can answer.
            async with site(self.service, users=False) as here:
                line, failed = await overloaded(here, overloaded_for)
                wrong += failed
                _say(f"\n- {line}")
                for crowd in self.crowds:
                    _say(f"- {await crowd(here, rate)}")
        return wrong

    @asynccontextmanager
    async def _workbench(self, where: str) -> AsyncIterator[Site]:
        async with AsyncExitStack() as undo:
            if where == "small disk":
                folder = undo.enter_context(disk.small_disk())
                yield await undo.enter_async_context(site(self.service, folder=folder, postgres=disk.SETTINGS))
            else:
                yield await undo.enter_async_context(site(self.service, network=where == "network"))


async def _inject(here: Site, rate: float, faults: Sequence[Fault]) -> list[str]:
    wrong = []
    for fault in faults:
        inject = partial(fault.inject, here, fault.seconds)
        ended = await trial(fault.name, here.url, here.collection, rate, inject, user=here.user)
        _say(row(ended, fault.seconds))
        wrong += complaints(ended, fault.failures)
    return wrong
