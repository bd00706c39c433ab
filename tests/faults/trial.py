"""One fault under load, and its result."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import uuid4

from harness.sign_in import NOBODY, SignIn
from tests.faults.ledger import Ledger, Verdict
from tests.faults.recorder import ANSWERED_WITHIN, Outcome, Recorder, kinds, recording
from tests.probe.collection import Collection

_BEFORE = 1.0
_QUIET = 1.0
_RECOVERED_WITHIN = 30.0
_ENDS_WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Gap:
    """The longest time without a successful write."""

    seconds: float
    ended: float
    """The time.monotonic() of the write that ended it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The figures of a run."""

    name: str
    answers: Counter[str]
    examples: dict[str, bytes]
    """For each kind of failure, the body of one answer."""
    longest: float
    """The maximum of the seconds between the time when a request was due and its answer."""
    recovery: float
    """Seconds from the end of the fault to the last failed answer; 0 if no answer failed after it."""
    gap: Gap
    verdict: Verdict
    remark: str = ""

    @property
    def requests(self) -> int:
        return self.answers.total()


async def trial(
    name: str,
    url: str,
    collection: Collection,
    rate: float,
    inject: Callable[[], Awaitable[str | None]],
    most: float = math.inf,
    user: SignIn = NOBODY,
) -> Trial:
    """Applies load, injects the fault, and goes on until every answer of one second was successful."""
    recorder = Recorder(url, rate, Ledger(f"f{uuid4().hex[:8]}", collection), user, most)
    async with recording(recorder):
        await asyncio.sleep(_BEFORE)
        async with asyncio.timeout(_ENDS_WITHIN):
            remark = await inject() or ""
        lifted = time.monotonic()
        await until_well(recorder, lifted)
    await recorder.settle()
    return ended(name, recorder, lifted, await recorder.verdict(), remark)


def ended(name: str, recorder: Recorder, lifted: float, verdict: Verdict, remark: str) -> Trial:
    """The figures of a recorder that has stopped. `lifted` is the time.monotonic() at which the fault ended."""
    outcomes = recorder.outcomes
    return Trial(
        name,
        kinds(outcomes),
        {outcome.kind: outcome.body for outcome in outcomes if outcome.failed},
        max(outcome.took for outcome in outcomes),
        max([0.0, *(outcome.ended - lifted for outcome in outcomes if outcome.failed)]),
        longest_gap(outcomes),
        verdict,
        remark,
    )


def longest_gap(outcomes: Sequence[Outcome]) -> Gap:
    """Between the answers to writes. A standby may answer reads, so they do not count."""
    begin = min(outcome.due for outcome in outcomes)
    last = max(outcome.ended for outcome in outcomes)
    ends = sorted(outcome.ended for outcome in outcomes if outcome.writes and not outcome.failed)
    gaps = [Gap(later - earlier, later) for earlier, later in pairwise([begin, *ends, last])]
    return max(gaps, key=lambda gap: gap.seconds)


async def until_well(recorder: Recorder, since: float) -> None:
    """Waits until no request has failed for a second; gives up after 30 seconds."""
    deadline = since + _RECOVERED_WITHIN
    while (now := time.monotonic()) < deadline:
        await asyncio.sleep(0.1)
        if now - since >= _QUIET:
            latest = [outcome for outcome in recorder.outcomes if outcome.ended > now - _QUIET]
            if len(latest) >= recorder.rate * _QUIET / 2 and not any(outcome.failed for outcome in latest):
                return


def complaints(ended: Trial, failures: frozenset[str], gap: float = math.inf) -> list[str]:
    """Lists what should not have happened.

    `failures` are the kinds of answers that are allowed, and `gap` are the seconds without a successful write.
    """
    verdict, unexpected = ended.verdict, ended.answers.keys() - {"2xx"} - set(failures)
    found = [f"lost: {entry}" for entry in verdict.lost]
    found += [f"done twice: {text}" for text in verdict.duplicated]
    found += [f"never acknowledged, although it was repeated with its key: {text}" for text in verdict.unsettled]
    found += [
        f"{ended.answers[kind]} answers should not be {kind}, such as {ended.examples[kind]!r}"
        for kind in sorted(unexpected)
    ]
    found += [f"an answer took {ended.longest:.1f} s"] if ended.longest >= ANSWERED_WITHIN else []
    found += [f"no write for {ended.gap.seconds:.1f} s, longer than {gap:g} s"] if ended.gap.seconds > gap else []
    return [f"{ended.name}: {complaint}" for complaint in found]
