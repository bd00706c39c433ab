"""The metrics of one application: a registry of its own, so that tests can have several in a process."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Protocol, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.registry import Collector

from service.lifecycle import Lifecycle, State
from service.settings import Settings

# 250 ms is the service's objective: it must be a bucket's edge.
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


Exemplar: TypeAlias = dict[str, str]
"""Labels of one observation, such as the id of its trace."""


def no_exemplar() -> Exemplar | None:
    """For a service that is not traced."""
    return None


class PoolStatistics(Protocol):
    """What the pool's gauges are read from at each scrape."""

    @property
    def size(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class Metrics:
    """RED by route template, the pool, queries by statement name, the build and the lifecycle."""

    def __init__(
        self, settings: Settings, lifecycle: Lifecycle, exemplar: Callable[[], Exemplar | None] = no_exemplar
    ) -> None:
        self.exemplar = exemplar
        """What to observe the duration of the current request with."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each series, of no use to Prometheus's rate()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time from the request's first byte to the response's last.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered.", ["kind"], registry=self.registry
        )
        self.in_flight_limit = Gauge(
            "http_requests_limit", "Most requests answered at a time.", ["kind"], registry=self.registry
        )
        self.shed = Counter(
            "http_requests_shed",
            "Requests refused because too many were running.",
            ["kind"],
            registry=self.registry,
        )
        self.query_duration = Histogram(
            "db_query_duration_seconds",
            "Time of a statement, by its name.",
            ["statement"],
            buckets=QUERY_BUCKETS,
            registry=self.registry,
        )
        self.acquire_duration = Histogram(
            "db_pool_acquire_duration_seconds",
            "Time that a request waited for a connection.",
            buckets=QUERY_BUCKETS,
            registry=self.registry,
        )
        self.acquire_timeouts = Counter(
            "db_pool_acquire_timeouts", "Requests that got no connection in time.", registry=self.registry
        )
        self.database_errors = Counter(
            "db_errors", "Statements and connections that failed.", ["kind"], registry=self.registry
        )
        build = Gauge(
            "service_build_info",
            "1, labelled with what runs.",
            ["version", "environment"],
            registry=self.registry,
        )
        build.labels(settings.version, settings.environment).set(1)
        self.registry.register(_LifecycleCollector(lifecycle))

        # Looking a labelled metric up costs more than counting. Statements, routes, methods and statuses are few.
        self.of_statement = cache(self.query_duration.labels)
        self.of_answer = cache(self.requests.labels)
        self.of_route = cache(self.duration.labels)

    @property
    def answered(self) -> int:
        """All requests answered so far."""
        [family] = self.requests.collect()
        return round(sum(sample.value for sample in family.samples))

    def observe_pool(self, pool: PoolStatistics, limit: int) -> None:
        """Export the pool's size, its idle connections and the requests waiting for one."""
        self.registry.register(_PoolCollector(pool, limit))


class _LifecycleCollector(Collector):
    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def collect(self) -> Iterable[GaugeMetricFamily]:
        state = GaugeMetricFamily("service_lifecycle_state", "1 for the state it is in.", labels=["state"])
        for candidate in State:
            state.add_metric([candidate], float(candidate is self._lifecycle.state))
        yield state
        check = GaugeMetricFamily("service_check_ok", "1 if the readiness check passed last time.", labels=["check"])
        for name, result in self._lifecycle.checks.items():
            check.add_metric([name], float(result.ok))
        yield check


class _PoolCollector(Collector):
    def __init__(self, pool: PoolStatistics, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, help_text, value in (
            ("db_pool_limit", "Most connections that the pool opens.", self._limit),
            ("db_pool_size", "Connections open.", self._pool.size),
            ("db_pool_idle", "Connections open and free.", self._pool.idle),
            ("db_pool_waiting", "Requests waiting for a connection.", self._pool.waiting),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
