"""`make faults`: injects every fault of tests/faults/faults.py into a workbench under load, and prints one table.

After that it applies more load than the service can answer, and crowds of clients. Takes about eight minutes. Exits
with status 1 if a write was lost or done twice, or if clients got unexpected answers.
"""

import argparse
import asyncio
import platform
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from tests.faults import crowds, disk
from tests.faults.faults import FAULTS, Fault
from tests.faults.overload import overloaded
from tests.faults.site import Site, site
from tests.faults.table import HEAD, row
from tests.faults.trial import complaints, trial

_say = partial(print, flush=True)


async def main(rate: float, only: str, overloaded_for: float) -> int:
    wrong: list[str] = []
    _say(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {rate:g} requests a second, 2 replicas")
    _say(HEAD)
    for where in ("anywhere", "small disk", "network"):
        faults = [fault for fault in FAULTS if fault.where == where and only in fault.name]
        if not faults:
            continue
        if where == "small disk" and not disk.possible():
            _say(f"skipped, a small file system needs root on Linux: {', '.join(fault.name for fault in faults)}")
            continue
        async with _workbench(where) as here:
            wrong += await _run(here, rate, faults)
    if only in {"", "load"}:
        async with site() as here:
            line, failed = await overloaded(here, overloaded_for)
            wrong += failed
            _say(f"\n- {line}")
            _say(f"- {await crowds.idle_and_slow_connections(here, rate, 10)}")
            _say(f"- {await crowds.subscribers(here)}")
    for line in wrong:
        _say(line)
    return 1 if wrong else 0


async def _run(here: Site, rate: float, faults: Sequence[Fault]) -> list[str]:
    wrong = []
    for fault in faults:
        ended = await trial(fault.name, here.url, rate, partial(fault.inject, here, fault.seconds))
        _say(row(ended, fault.seconds))
        wrong += complaints(ended, fault.failures)
    return wrong


@asynccontextmanager
async def _workbench(where: str) -> AsyncIterator[Site]:
    async with AsyncExitStack() as undo:
        if where == "small disk":
            folder = undo.enter_context(disk.small_disk())
            yield await undo.enter_async_context(site(folder=folder, postgres=disk.SETTINGS))
        else:
            yield await undo.enter_async_context(site(network=where == "network"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--rate", type=float, default=100, help="requests a second; %(default)g")
    parser.add_argument(
        "--only", default="", help="only faults whose name contains this text; load: only the overload"
    )
    parser.add_argument("--overloaded-for", type=float, default=60, help="seconds of overload; %(default)g")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.rate, chosen.only, chosen.overloaded_for)))
