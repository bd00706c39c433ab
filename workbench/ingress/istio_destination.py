"""Models of Istio's DestinationRule, which forbid unknown fields like those in istio.py."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from workbench.ingress.istio import ApiVersion, Metadata, Strict
from workbench.ingress.istio_values import CookieDuration, Duration, Labels, Limit, RingSize, TableSize


class HttpCookie(Strict):
    name: Annotated[str, Field(min_length=1)]
    path: str = ""
    ttl: CookieDuration | None = None  # if set, the gateway gives the cookie to clients that have none


class RingHash(Strict):
    minimum_ring_size: RingSize = 0


class Maglev(Strict):
    table_size: TableSize


class ConsistentHash(Strict):
    """Requests with the same value go to the same replica, as long as it is ready."""

    http_header_name: Annotated[str, Field(min_length=1)] | None = None
    http_cookie: HttpCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: Annotated[str, Field(min_length=1)] | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    minimum_ring_size: RingSize = 0  # the deprecated way to write it

    @model_validator(mode="after")
    def _one_key_and_algorithm(self) -> Self:
        keys = (self.http_header_name, self.http_cookie, self.use_source_ip, self.http_query_parameter_name)
        if sum(key is not None for key in keys) != 1:
            raise ValueError("give exactly one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName")
        if sum(bool(given) for given in (self.ring_hash, self.maglev, self.minimum_ring_size)) > 1:
            raise ValueError("ringHash, maglev and minimumRingSize exclude each other; keep one")
        return self


class LoadBalancer(Strict):
    simple: Literal["LEAST_REQUEST", "RANDOM", "ROUND_ROBIN"] | None = None
    consistent_hash: ConsistentHash | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.simple is None) == (self.consistent_hash is None):
            raise ValueError("give exactly one of simple and consistentHash")
        return self


def _check_not_empty(section: Strict) -> Strict:
    if not section.model_fields_set:
        raise ValueError("Istio refuses it without a field; remove it")
    return section


class TcpPool(Strict):
    max_connections: Limit = 0
    connect_timeout: Duration = timedelta(seconds=10)


class HttpPool(Strict):
    http1_max_pending_requests: Limit = 0
    http2_max_requests: Limit = 0
    max_requests_per_connection: Limit = 0
    max_retries: Limit = 0
    idle_timeout: Duration | None = None


class ConnectionPool(Strict):
    tcp: TcpPool = TcpPool()
    http: HttpPool = HttpPool()


class OutlierDetection(Strict):
    consecutive_5xx_errors: Annotated[Limit | None, Field(alias="consecutive5xxErrors")] = None
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: Limit | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _failures_are_counted(self) -> Self:
        if self.consecutive_local_origin_failures and not self.split_external_local_origin_errors:
            raise ValueError("consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true")
        return self


class TrafficPolicy(Strict):
    load_balancer: LoadBalancer = LoadBalancer(simple="LEAST_REQUEST")
    connection_pool: Annotated[ConnectionPool, AfterValidator(_check_not_empty)] = ConnectionPool()
    outlier_detection: OutlierDetection | None = None


GivenPolicy = Annotated[TrafficPolicy, AfterValidator(_check_not_empty)]


class Subset(Strict):
    """The replicas that have all of the labels, under a policy of their own."""

    name: Annotated[str, Field(min_length=1)]
    labels: Labels = Field(default={})
    traffic_policy: GivenPolicy = TrafficPolicy()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a replica with these labels belongs to the subset."""
        return self.labels.items() <= labels.items()


class DestinationRuleSpec(Strict):
    host: str
    traffic_policy: GivenPolicy = TrafficPolicy()
    subsets: list[Subset] = Field(default=[])

    @field_validator("subsets")
    @classmethod
    def _different_names(cls, subsets: list[Subset]) -> list[Subset]:
        names = [subset.name for subset in subsets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name!r} is the name of several subsets; rename or remove one")
        return subsets

    def policies(self) -> dict[str, TrafficPolicy]:
        """The policy of each subset by its name; "" is the name of the policy without a subset.

        A section of a subset's policy, such as connectionPool, replaces the same section of the rule's policy. The
        subset inherits all sections that it does not have.
        """
        policies = {"": self.traffic_policy}
        for subset in self.subsets:
            own = subset.traffic_policy
            sections = {name: getattr(own, name) for name in own.model_fields_set}
            policies[subset.name] = self.traffic_policy.model_copy(update=sections)
        return policies

    def selects(self, subset: str, labels: Mapping[str, str]) -> bool:
        """Whether a replica with these labels belongs to the subset. All replicas belong to the subset ""."""
        return all(found.selects(labels) for found in self.subsets if found.name == subset)

    def consistent_hash(self, subset: str) -> ConsistentHash | None:
        """By what requests to a subset are hashed. The rule's own hash also holds for a subset that has none."""
        own = self.policies()[subset].load_balancer.consistent_hash
        return own or self.traffic_policy.load_balancer.consistent_hash


class DestinationRule(Strict):
    api_version: ApiVersion
    kind: Literal["DestinationRule"]
    metadata: Metadata
    spec: DestinationRuleSpec
