"""A short run of a fault, as a test."""

from functools import partial

from tests.faults.faults import Fault
from tests.faults.site import Site
from tests.faults.trial import complaints, trial

RATE = 40.0
MOST = 40
"""A busy machine answers fewer than RATE: those that wait would be more and more, until some take too long."""


async def loses_no_write(site: Site, fault: Fault) -> None:
    """Whatever the fault does, every acknowledged write is stored exactly once."""
    assert fault.briefly is not None
    inject = partial(fault.inject, site, fault.briefly)
    ended = await trial(fault.name, site.url, site.collection, RATE, inject, MOST, site.user)
    found = complaints(ended, fault.failures)
    assert not found, "\n".join(found)
    assert ended.verdict.acknowledged > 0, f"no write was acknowledged: {ended.answers}"
