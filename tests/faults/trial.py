"""One fault under load, and what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from uuid import uuid4

from tests.faults.ledger import Ledger, Verdict
from tests.faults.recorder import ANSWERED_WITHIN, Recorder, kinds, recording

_BEFORE = 1.0
_QUIET = 1.0
_RECOVERED_WITHIN = 30.0
_ENDS_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Trial:
    """The figures of a run."""

    name: str
    answers: Counter[str]
    examples: dict[str, bytes]
    """The body of one answer of each kind that is a failure."""
    longest: float
    """Seconds from when a request was due to its answer."""
    recovery: float
    """Seconds from the end of the cause to the last failed answer; 0 if there was none."""
    verdict: Verdict
    remark: str = ""

    @property
    def requests(self) -> int:
        return self.answers.total()


async def trial(name: str, url: str, rate: float, inject: Callable[[], Awaitable[str | None]]) -> Trial:
    """Load, then the fault, then load until all is well again for a second."""
    recorder = Recorder(url, rate, Ledger(f"f{uuid4().hex[:8]}"))
    async with recording(recorder):
        await asyncio.sleep(_BEFORE)
        async with asyncio.timeout(_ENDS_WITHIN):
            remark = await inject() or ""
        lifted = time.monotonic()
        await _until_well(recorder, lifted)
    failures = [outcome.ended - lifted for outcome in recorder.outcomes if outcome.failed]
    await recorder.settle()
    return Trial(
        name,
        kinds(recorder.outcomes),
        {outcome.kind: outcome.body for outcome in recorder.outcomes if outcome.failed},
        max(outcome.took for outcome in recorder.outcomes),
        max([0.0, *failures]),
        await recorder.verdict(),
        remark,
    )


async def _until_well(recorder: Recorder, since: float) -> None:
    """Until every request that was due in the last second was answered well."""
    deadline = since + _RECOVERED_WITHIN
    while (now := time.monotonic()) < deadline:
        await asyncio.sleep(0.1)
        if now - since >= _QUIET:
            latest = [outcome for outcome in recorder.outcomes if outcome.ended > now - _QUIET]
            if len(latest) >= recorder.rate * _QUIET / 2 and not any(outcome.failed for outcome in latest):
                return


def complaints(ended: Trial, failures: Collection[str]) -> list[str]:
    """What should not have happened; `failures` are the kinds of answers that may."""
    verdict, unexpected = ended.verdict, ended.answers.keys() - {"2xx"} - set(failures)
    found = [f"lost: {entry}" for entry in verdict.lost]
    found += [f"done twice: {title}" for title in verdict.duplicated]
    found += [f"repeated with its key, and still not acknowledged: {title}" for title in verdict.unsettled]
    found += [
        f"{ended.answers[kind]} answers should not be {kind}, such as {ended.examples[kind]!r}"
        for kind in sorted(unexpected)
    ]
    found += [f"longest answer {ended.longest:.1f} s"] if ended.longest >= ANSWERED_WITHIN else []
    return [f"{ended.name}: {complaint}" for complaint in found]
