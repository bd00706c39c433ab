"""`make restore WHERE=production AT=...` under load: the moment lies between two loads."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from harness.sign_in import NOBODY, SignIn
from tests.faults.ledger import Ledger, Verdict
from tests.faults.recorder import Recorder, recording
from tests.faults.trial import Trial, ended, until_well
from tests.probe.collection import Collection

NAME = "restored to a moment"
FAILURES = frozenset({"503", "404"})
"""404 for members that the restore has undone."""

_ENDS_WITHIN = 900.0


async def restored(
    url: str,
    collection: Collection,
    rate: float,
    restore: Callable[[str], Awaitable[object]],
    user: SignIn = NOBODY,
    load: float = 5,
) -> Trial:
    """Calls restore() with the moment, as text, and returns the figures of the second load.

    Each of the two goes on for `load` seconds before that.
    What was acknowledged before the moment, or after the restore, has to be stored. At least some of what was
    acknowledged in between has to be undone: it raises RuntimeError if all of that is still there.
    """
    first, second = (Recorder(url, rate, Ledger(f"f{uuid4().hex[:8]}", collection), user) for _ in range(2))
    async with recording(first):
        await asyncio.sleep(load)
    await first.settle()
    await asyncio.sleep(1)  # the moment has whole seconds
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
    await asyncio.sleep(1)  # so that no commit of the second load is in the second of the moment
    async with recording(second):
        await asyncio.sleep(load)
        between = list(second.ledger.entries)
        async with asyncio.timeout(_ENDS_WITHIN):
            await restore(moment)
        second.leave_alone()  # most of them are undone
        lifted, during = time.monotonic(), len(second.ledger.entries)
        await until_well(second, lifted)
    await second.settle()
    del second.ledger.entries[:during]
    early, late = await first.verdict(), await second.verdict()
    second.ledger.entries = between
    undone = len((await second.verdict()).lost)
    if not undone:
        raise RuntimeError(f"the database is not as it was at {moment}: each later write is still there")
    both = Verdict(
        early.acknowledged + late.acknowledged,
        early.lost + late.lost,
        early.duplicated + late.duplicated,
        early.unsettled + late.unsettled,
    )
    return ended(NAME, second, lifted, both, f"at least {undone} later writes undone")
