"""What was acknowledged is there, once, whatever breaks. `make faults` does the same for longer, with figures."""

from functools import partial

import pytest

from tests.faults.faults import FAULTS, Fault
from tests.faults.place import Place
from tests.faults.trial import complaints, trial

RATE = 40.0


def brief(where: str) -> pytest.MarkDecorator:
    faults = [fault for fault in FAULTS if fault.briefly is not None and fault.where == where]
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


@brief("anywhere")
async def test_nothing_is_lost_and_nothing_done_twice(workbench: Place, fault: Fault) -> None:
    await check(workbench, fault)


@brief("network")
async def test_the_network_loses_nothing_either(networked: Place, fault: Fault) -> None:
    await check(networked, fault)


async def check(place: Place, fault: Fault) -> None:
    assert fault.briefly is not None
    ended = await trial(fault.name, place.url, RATE, partial(fault.inject, place, fault.briefly))
    assert not complaints(ended, fault.failures)
    assert ended.verdict.acknowledged > 0
