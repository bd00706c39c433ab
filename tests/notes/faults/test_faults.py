"""Notes are neither lost nor created twice, although clients and the ingress repeat creations with a key.

`make faults WHERE=notes` tries all faults; tests/faults tries them with the probe domain.
"""

import pytest

from tests.faults.checks import loses_no_write
from tests.faults.site import Site
from tests.notes.faults.faults import FAULTS

# The first one loses answers to creations. Others that do are like it for the code of notes.
OF_NOTES = (
    "replica, kill -9",
    "clients leave in the middle of imports",
    "clients read exports at 1 kB/s",
    "clients' clocks jump by ten years",
)


@pytest.mark.parametrize("name", OF_NOTES)
async def test_no_note_is_lost_or_created_twice(workbench: Site, name: str) -> None:
    [fault] = [fault for fault in FAULTS if fault.name == name]

    await loses_no_write(workbench, fault)
