"""Sends twice as many requests as the service can answer, from a process of its own.

    python -m tests.faults.flood URL /things:name

First it measures how many the service can answer. Prints its figures as one line of JSON.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from uuid import uuid4

import uvloop

from harness.sign_in import to_ingress
from tests.faults.ledger import Ledger
from tests.faults.recorder import Outcome, Recorder, kinds
from tests.probe.collection import Collection

_PRIORITY = -15
_CLIENTS = 32
_MEASURED_FOR = 5.0
_AFTERWARDS = 5.0


@dataclass(frozen=True, slots=True)
class Flood:
    """The result. Times are in seconds."""

    sustainable: float
    """Requests a second that the service can answer."""
    goodput: float
    """Requests a second that were answered with 2xx during the flood."""
    answers: dict[str, int]
    answered_p50: float
    answered_p99: float
    refused_p50: float
    """Times to a 503."""
    refused_p99: float
    longest: float
    recovery: float
    """From the moment when the last request of the flood was due until the last failure."""
    busy: float
    """CPU seconds of the clients themselves, per second."""
    acknowledged: int
    lost: list[str]
    duplicated: list[str]


async def main(url: str, collection: Collection, seconds: float, factor: float, rate: float) -> None:
    user = await asyncio.to_thread(to_ingress, url)
    recorder = Recorder(url, 0, Ledger(f"f{uuid4().hex[:8]}", collection), user)
    await recorder.saturate(_CLIENTS, 1)  # opens connections and prepares statements
    sustainable = rate or await recorder.saturate(_CLIENTS, _MEASURED_FOR)
    begin, busy = time.monotonic(), time.process_time()
    flooding = asyncio.create_task(recorder.run_for(seconds, sustainable * factor))
    await asyncio.sleep(seconds)
    end, busy = time.monotonic(), time.process_time() - busy
    # The requests after the flood do not wait for its last answers.
    after = Recorder(url, 0, recorder.ledger, user)
    await asyncio.gather(flooding, after.run_for(_AFTERWARDS, sustainable / 4))
    flood = [outcome for outcome in recorder.outcomes if outcome.due >= begin]
    answered = [outcome for outcome in flood if not outcome.failed]
    refused = [outcome for outcome in flood if outcome.answer == "503"]
    failures = [outcome.ended - end for outcome in (*flood, *after.outcomes) if outcome.failed]
    await recorder.settle()
    verdict = await recorder.verdict()
    result = Flood(
        sustainable,
        sum(1 for outcome in answered if outcome.ended < end) / (end - begin),
        dict(kinds(flood)),
        quantile(answered, 0.5),
        quantile(answered, 0.99),
        quantile(refused, 0.5),
        quantile(refused, 0.99),
        max(outcome.took for outcome in flood),
        max([0.0, *failures]),
        busy / (end - begin),
        verdict.acknowledged,
        verdict.lost,
        verdict.duplicated,
    )
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


def quantile(outcomes: Sequence[Outcome], part: float) -> float:
    times = sorted(outcome.took for outcome in outcomes)
    return times[min(int(len(times) * part), len(times) - 1)] if times else 0.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults.flood")
    parser.add_argument("url")
    parser.add_argument(
        "collection", type=Collection.parse, help="its path, and the field of its members that holds a text"
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--factor", type=float, default=2)
    parser.add_argument("--rate", type=float, default=0, help="the rate that the service can answer; 0 measures it")
    chosen = parser.parse_args()
    with suppress(PermissionError):  # real clients do not compete with the service for the CPU
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    uvloop.run(main(chosen.url, chosen.collection, chosen.seconds, chosen.factor, chosen.rate))
