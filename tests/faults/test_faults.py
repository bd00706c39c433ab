"""Whatever breaks, every acknowledged write is stored exactly once. `make faults` runs longer and prints figures."""

import pytest

from tests.faults.checks import loses_no_write
from tests.faults.faults import FAULTS, Fault
from tests.faults.site import Site


def faults(where: str) -> pytest.MarkDecorator:
    chosen = [fault for fault in FAULTS if fault.briefly is not None and fault.where == where]
    return pytest.mark.parametrize("fault", chosen, ids=lambda fault: fault.name)


@faults("anywhere")
async def test_no_write_is_lost_or_done_twice(workbench: Site, fault: Fault) -> None:
    await loses_no_write(workbench, fault)


@faults("network")
async def test_a_broken_network_loses_no_write(networked: Site, fault: Fault) -> None:
    await loses_no_write(networked, fault)
