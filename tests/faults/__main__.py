"""`make faults`: breaks a workbench in every way of tests/faults/faults.py, under load, and prints one table.

Then more load than it can answer, and crowds of clients. Takes some eight minutes. Exit status 1 if a write was lost
or done twice, or if clients got what they should not.
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
from tests.faults.place import Place, place
from tests.faults.table import HEAD, row
from tests.faults.trial import complaints, trial


async def main(rate: float, only: str, overloaded_for: float) -> int:
    wrong: list[str] = []
    say(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {rate:g} requests a second, 2 replicas")
    say(HEAD)
    for where in ("anywhere", "small disk", "network"):
        faults = [fault for fault in FAULTS if fault.where == where and only in fault.name]
        if not faults:
            continue
        if where == "small disk" and not disk.possible():
            say(f"not run, a small file system takes root and Linux: {', '.join(fault.name for fault in faults)}")
            continue
        async with _workbench(where) as here:
            wrong += await _run(here, rate, faults)
    if only in {"", "load"}:
        async with place() as here:
            line, failed = await overloaded(here, overloaded_for)
            wrong += failed
            say(f"\n- {line}")
            say(f"- {await crowds.idle_and_slow_connections(here, rate, 10)}")
            say(f"- {await crowds.subscribers(here)}")
    for line in wrong:
        say(line)
    return 1 if wrong else 0


async def _run(here: Place, rate: float, faults: Sequence[Fault]) -> list[str]:
    wrong = []
    for fault in faults:
        ended = await trial(fault.name, here.url, rate, partial(fault.inject, here, fault.seconds))
        say(row(ended, fault.seconds))
        wrong += complaints(ended, fault.failures)
    return wrong


@asynccontextmanager
async def _workbench(where: str) -> AsyncIterator[Place]:
    async with AsyncExitStack() as undo:
        if where == "small disk":
            folder = undo.enter_context(disk.small_disk())
            yield await undo.enter_async_context(place(folder=folder, postgres=disk.SETTINGS))
        else:
            yield await undo.enter_async_context(place(network=where == "network"))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--rate", type=float, default=100, help="requests a second; 100")
    parser.add_argument("--only", default="", help="only faults whose name holds this text, or `load`")
    parser.add_argument("--overloaded-for", type=float, default=60, help="seconds; 60")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.rate, chosen.only, chosen.overloaded_for)))
