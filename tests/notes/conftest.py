"""The tests of notes start the service with the registered domains, as `python -m service` does."""

from collections.abc import Sequence

import pytest

from service.app import DOMAINS
from service.domain import Domain


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return DOMAINS
