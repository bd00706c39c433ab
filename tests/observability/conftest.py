"""A workbench with users, tracing, live reload, and a Prometheus that scrapes it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.sandbox import Sandbox
from tests.observability.collector import Collector
from tests.observability.prometheus import Prometheus
from tests.observability.promtool import Promtool
from tests.observability.traffic import ask_everything, refuse_by_lock
from tests.probe.collection import THINGS
from tests.probe.project import probe_sandbox
from tests.probe.stack import probe_stack
from tests.waiting import PATIENT
from tests.workbench.ingress.provider import Provider
from tests.workbench.ingress.tokens import EC, token
from workbench.console import Console
from workbench.machine.folders import IDENTITY
from workbench.options import StackOptions
from workbench.parts.postgres import SUPERUSER
from workbench.programs.prometheus import Programs
from workbench.stack import Stack

WITHIN = 120
SCRAPE_INTERVAL = 1  # s

collect_ignore = [] if {"PROMETHEUS_URL", "JAEGER_URL"} <= os.environ.keys() else ["test_cluster.py"]


@dataclass(frozen=True)
class Observed:
    stack: Stack
    collector: Collector
    client: httpx.AsyncClient
    """For the ingress, as a user."""
    ops: httpx.AsyncClient
    """For the ops port of the first replica."""
    prometheus: Prometheus
    sources: Sandbox
    """The sources that the replicas reload."""
    log: Path

    async def access_line(self, word: str) -> dict[str, Any]:
        """The line of the access log that contains a word. It is written while the response is sent."""
        async with asyncio.timeout(WITHIN):
            while True:
                for text in self.log.read_text().splitlines():
                    if word in text and '"service.access"' in text:
                        return dict(json.loads(text.partition("│ ")[2]))
                await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def promtool(prometheus_programs: Programs) -> Promtool:
    return Promtool(prometheus_programs.promtool)


@pytest.fixture(scope="package")
async def collector() -> AsyncIterator[Collector]:
    async with Collector().running() as collector:
        yield collector


@pytest.fixture(scope="package")
async def observed(
    new_data: Callable[[], Path],
    collector: Collector,
    prometheus_programs: Programs,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Observed]:
    data, sources = new_data(), probe_sandbox(tmp_path_factory.mktemp("observed") / "sources")
    provider = Provider(EC)
    log = data.parent / f"{data.name}.log"
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",  # ms
        "SERVICE_LOG_FORMAT": "json",
        **PATIENT,
    }
    headers = {"user-agent": "tests", "authorization": f"Bearer {token()}"}
    async with provider.running():
        options = StackOptions(
            data=data,
            settings=settings,
            service=(sys.executable, "-m", "workbench.reload"),
            sources=sources.root,
            components=[IDENTITY],
            identity_port=provider.port,
            prometheus=prometheus_programs.prometheus,
            scrape_interval=SCRAPE_INTERVAL,
        )
        with log.open("w") as stream:
            async with (
                probe_stack(options, Console(stream)) as stack,
                httpx.AsyncClient(base_url=stack.ingress_url, headers=headers) as client,
                httpx.AsyncClient(base_url=f"http://localhost:{stack.replicas[0].ops_port}") as ops,
                httpx.AsyncClient(
                    base_url=f"{stack.prometheus.url}/api/v1" if stack.prometheus else ""
                ) as prometheus,
            ):
                yield Observed(stack, collector, client, ops, Prometheus(prometheus), sources, log)


@pytest.fixture(scope="package")
async def measured(observed: Observed) -> Observed:
    """After Prometheus has scraped a reload, requests of every kind, and an error of the database."""
    prometheus = observed.prometheus
    async with asyncio.timeout(WITHIN):
        await refuse_by_lock(observed.client, THINGS, observed.stack.postgres.url(SUPERUSER))
        # This rule needs the results of other rules, which need two scrapes: it is the last one to have a value.
        while len(await prometheus.numbers("slo:budget_left:ratio30d")) < 2:
            await ask_everything(observed.client, THINGS)
            await asyncio.sleep(SCRAPE_INTERVAL / 4)  # each scrape shall find something new
        observed.sources.append("service/app.py", "\n# saved\n")
        while not await prometheus.numbers('increase(reloads_total{result="ok"}[30s]) > 0'):
            await ask_everything(observed.client, THINGS)
            await asyncio.sleep(SCRAPE_INTERVAL / 4)
    return observed
