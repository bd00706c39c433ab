"""Random noise."""

from tests.faults.noise import noise_harms_nothing
from tests.faults.site import Site


async def test_noise_gets_a_client_error_and_harms_nothing(workbench: Site) -> None:
    await noise_harms_nothing(workbench)
