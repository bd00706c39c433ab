from collections.abc import AsyncIterator

import pytest

from tests.service.resource.things import follow
from tests.service.serving import Service
from tests.service.sse import Subscriber


@pytest.fixture
async def subscriber(service: Service) -> AsyncIterator[Subscriber]:
    async with follow(service) as subscriber:
        yield subscriber
