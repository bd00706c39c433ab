"""A workbench with everything that can be seen of it switched on, for all tests of this folder."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.observability.collector import Collector
from workbench.console import Console
from workbench.options import StackOptions
from workbench.stack import Stack


@dataclass(frozen=True)
class Observed:
    stack: Stack
    collector: Collector
    client: httpx.AsyncClient
    """Of the ingress."""
    ops: httpx.AsyncClient
    """Of the first replica."""
    log: Path

    def lines(self) -> list[str]:
        """What all parts have written so far."""
        return self.log.read_text().splitlines()


@pytest.fixture(scope="session")
async def collector() -> AsyncIterator[Collector]:
    async with Collector().running() as collector:
        yield collector


@pytest.fixture(scope="session")
async def observed(new_data: Callable[[], Path], collector: Collector) -> AsyncIterator[Observed]:
    data = new_data()
    log = data.parent / f"{data.name}.log"
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",  # ms
        "SERVICE_LOG_FORMAT": "json",
    }
    with log.open("w") as stream:
        async with (
            Stack(StackOptions(data=data, settings=settings), Console(stream)) as stack,
            httpx.AsyncClient(base_url=stack.ingress_url, headers={"user-agent": "slipway-tests"}) as client,
            httpx.AsyncClient(base_url=f"http://localhost:{stack.replicas[0].ops_port}") as ops,
        ):
            yield Observed(stack, collector, client, ops, log)
