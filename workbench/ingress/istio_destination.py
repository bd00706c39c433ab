"""Models of Istio's DestinationRule, which forbid unknown fields like those in istio.py."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from workbench.ingress.istio import Metadata, Strict
from workbench.ingress.istio_values import Duration, Limit


class LoadBalancer(Strict):
    simple: Literal["LEAST_REQUEST", "RANDOM", "ROUND_ROBIN"]


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


class TrafficPolicy(Strict):
    load_balancer: LoadBalancer = LoadBalancer(simple="LEAST_REQUEST")
    connection_pool: ConnectionPool = ConnectionPool()
    outlier_detection: OutlierDetection | None = None


class Subset(Strict):
    """All replicas, under another policy. Istio's labels would select some of them; the workbench has no labels."""

    name: Annotated[str, Field(min_length=1)]
    traffic_policy: TrafficPolicy = TrafficPolicy()


class DestinationRuleSpec(Strict):
    host: str
    traffic_policy: TrafficPolicy = TrafficPolicy()
    subsets: list[Subset] = Field(default=[])

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


class DestinationRule(Strict):
    api_version: Literal["networking.istio.io/v1"]
    kind: Literal["DestinationRule"]
    metadata: Metadata
    spec: DestinationRuleSpec
