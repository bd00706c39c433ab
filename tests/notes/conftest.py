"""The tests of notes start the service with the registered domains, as `python -m service` does."""

from collections.abc import AsyncIterator, Sequence

import pytest

from service.app import DOMAINS
from service.domain import Domain
from tests.notes.notes import follow
from tests.service.serving import Service
from tests.service.sse import Subscriber


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return DOMAINS


@pytest.fixture
async def subscriber(service: Service) -> AsyncIterator[Subscriber]:
    async with follow(service) as subscriber:
        yield subscriber
