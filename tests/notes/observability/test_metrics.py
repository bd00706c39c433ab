"""The metrics of notes are described, and the dashboards find them in a workbench of the service with notes."""

import re
from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest

from tests.observability.conftest import WITHIN
from tests.observability.dashboards import FILES, Expression, load, queries
from tests.observability.described import own_metrics, undescribed
from tests.observability.listed import DOMAIN, listed
from tests.observability.prometheus import Prometheus
from tests.observability.promql import filled_in, named
from tests.observability.promtool import program
from tests.waiting import eventually
from workbench.console import Console
from workbench.machine import ports
from workbench.machine.folders import run_folder
from workbench.options import StackOptions
from workbench.parts import prometheus
from workbench.project import NAME
from workbench.stack import Stack

NOTES = listed(DOMAIN)
SHOWN = [
    query
    for file in FILES
    for query in queries(load(file.stem))
    if named(filled_in(query.text)).metrics.keys() & NOTES.keys()
]


@pytest.fixture(scope="module")
async def scraped(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A Prometheus that has scraped the service with notes."""
    data = tmp_path_factory.mktemp("prometheus")
    options = StackOptions(data=data, prometheus=program("prometheus"), scrape_interval=1)
    [port] = ports.free(1)
    with (data / "log").open("w") as log, run_folder(data) as run:
        part = prometheus.Prometheus(options, port, stack.replicas, stack.envoy, run, Console(log))
        await part.start()
        try:
            async with httpx.AsyncClient(base_url=f"{part.url}/api/v1") as client:
                await eventually(
                    partial(has_scraped, Prometheus(client)), "Prometheus has scraped the service", WITHIN
                )
                yield Prometheus(client)
        finally:
            await part.stop()


async def has_scraped(found: Prometheus) -> bool:
    return bool(await found.numbers(f'up{{job="{NAME}"}} == 1'))


def test_the_dashboards_show_every_listed_metric() -> None:
    shown = [named(filled_in(query.text)).metrics.keys() & NOTES.keys() for query in SHOWN]

    assert set().union(*shown) == NOTES.keys()


@pytest.mark.parametrize("query", SHOWN, ids=[query.where for query in SHOWN])
async def test_a_query_finds_data_in_a_workbench(query: Expression, scraped: Prometheus) -> None:
    assert await scraped.numbers(filled_in(query.text))


async def test_the_listed_metrics_have_the_listed_labels(scraped: Prometheus) -> None:
    """tests/observability compares the dashboards with this list."""
    known = await scraped.labels()

    assert {name: known[name] - {"__name__"} for name in NOTES} == NOTES


async def test_every_metric_is_described(stack: Stack) -> None:
    """Including those that have no value yet."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{stack.replicas[0].ops_port}/metrics")).text
    metrics = own_metrics(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))

    assert {"notes_event_subscribers", "db_rows_expired_total"} <= metrics
    assert undescribed(metrics) == []
