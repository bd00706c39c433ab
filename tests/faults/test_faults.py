"""Whatever breaks, every acknowledged write is stored exactly once. `make faults` runs longer and prints figures."""

from functools import partial

import pytest

from tests.faults.faults import FAULTS, Fault
from tests.faults.site import Site
from tests.faults.trial import complaints, trial

RATE = 40.0


def faults(where: str) -> pytest.MarkDecorator:
    chosen = [fault for fault in FAULTS if fault.briefly is not None and fault.where == where]
    return pytest.mark.parametrize("fault", chosen, ids=lambda fault: fault.name)


@faults("anywhere")
async def test_no_write_is_lost_or_done_twice(workbench: Site, fault: Fault) -> None:
    await check(workbench, fault)


@faults("network")
async def test_a_broken_network_loses_no_write(networked: Site, fault: Fault) -> None:
    await check(networked, fault)


async def check(site: Site, fault: Fault) -> None:
    assert fault.briefly is not None
    ended = await trial(fault.name, site.url, RATE, partial(fault.inject, site, fault.briefly))
    assert not complaints(ended, fault.failures)
    assert ended.verdict.acknowledged > 0
