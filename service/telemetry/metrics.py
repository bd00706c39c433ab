"""The metrics of one application, in its own registry, so that tests can run several applications in a process."""

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

# The latency objective is 250 ms, so 0.25 must be the edge of a bucket.
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


Exemplar: TypeAlias = dict[str, str]
"""The labels of one observation, such as the id of its trace."""


def no_exemplar() -> Exemplar | None:
    """The exemplar of a service that is not traced."""
    return None


class PoolStatistics(Protocol):
    """The state of the pool, read at each scrape."""

    @property
    def size(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class Metrics:
    """Requests by route, the pool, statements by name, the build and the lifecycle."""

    def __init__(
        self, settings: Settings, lifecycle: Lifecycle, exemplar: Callable[[], Exemplar | None] = no_exemplar
    ) -> None:
        self.exemplar = exemplar
        """Returns the exemplar for the duration of the current request."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each; rate() does not need it
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time from the first byte of the request to the last byte of the response.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests in flight.", ["kind"], registry=self.registry)
        self.in_flight_limit = Gauge(
            "http_requests_limit", "Maximum number of requests in flight.", ["kind"], registry=self.registry
        )
        self.shed = Counter(
            "http_requests_shed",
            "Requests refused because the maximum was in flight.",
            ["kind"],
            registry=self.registry,
        )
        self.query_duration = Histogram(
            "db_query_duration_seconds",
            "Duration of a statement, by its name.",
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
            "db_pool_acquire_timeouts",
            "Requests that timed out while waiting for a connection.",
            registry=self.registry,
        )
        self.database_errors = Counter(
            "db_errors", "Failed statements and connections, by class of error.", ["kind"], registry=self.registry
        )
        build = Gauge(
            "service_build_info",
            "Always 1. The labels say what runs.",
            ["version", "environment"],
            registry=self.registry,
        )
        build.labels(settings.version, settings.environment).set(1)
        self.registry.register(_LifecycleCollector(lifecycle))

        # Looking up a labelled metric costs more than observing it. The labels have few values, so caches stay small.
        self.of_statement = cache(self.query_duration.labels)
        self.of_answer = cache(self.requests.labels)
        self.of_route = cache(self.duration.labels)

    @property
    def answered(self) -> int:
        """The number of requests answered so far."""
        [family] = self.requests.collect()
        return round(sum(sample.value for sample in family.samples))

    def observe_pool(self, pool: PoolStatistics, limit: int) -> None:
        """Export the state of the pool; `limit` is its maximum size."""
        self.registry.register(_PoolCollector(pool, limit))


class _LifecycleCollector(Collector):
    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def collect(self) -> Iterable[GaugeMetricFamily]:
        state = GaugeMetricFamily(
            "service_lifecycle_state", "1 for the current state, 0 for the others.", labels=["state"]
        )
        for name in State:
            state.add_metric([name], float(name is self._lifecycle.state))
        yield state
        check = GaugeMetricFamily("service_check_ok", "1 if the last readiness check passed.", labels=["check"])
        for check_name, result in self._lifecycle.checks.items():
            check.add_metric([check_name], float(result.ok))
        yield check


class _PoolCollector(Collector):
    def __init__(self, pool: PoolStatistics, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, help_text, value in (
            ("db_pool_limit", "Maximum number of connections in the pool.", self._limit),
            ("db_pool_size", "Open connections.", self._pool.size),
            ("db_pool_idle", "Open connections that are idle.", self._pool.idle),
            ("db_pool_waiting", "Requests waiting for a connection.", self._pool.waiting),
        ):
            yield GaugeMetricFamily(name, help_text, value=value)
