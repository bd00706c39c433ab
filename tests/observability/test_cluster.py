"""The metrics, rules and traces of a cluster, while requests go through its ingress. These tests need a cluster:

    make test ARGS=tests/observability/test_cluster.py INGRESS_URL=http://localhost:8080 \
        PROMETHEUS_URL=http://localhost:9090 JAEGER_URL=http://localhost:16686

The requests write and read a collection that the API describes, or that COLLECTION=/path:field names.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml

from harness.sign_in import SignIn
from tests.ingress.clients import client_of
from tests.observability.dashboards import FILES, Expression, load, queries, variables
from tests.observability.prometheus import Prometheus
from tests.observability.promql import filled_in, named
from tests.observability.promtool import RULES
from tests.observability.traffic import ask_everything
from tests.probe.collection import Collection
from workbench.project import NAME

WITHIN = 180  # s; Prometheus scrapes every 15 s, and a rate needs two scrapes
JOBS = {"istio-ingressgateway", "istiod", "kubelet", "postgres", "postgres-exporter", "prometheus", NAME}
# Metrics that not every cluster has: the beginning of their names, one of them, and the reason.
NOT_EVERYWHERE = (
    ("db_errors_", "db_errors_total", "the database has had no error"),
    ("istio_", "istio_requests_total", "the proxies of this cluster are not Istio's own"),
    ("kubelet_", "kubelet_volume_stats_capacity_bytes", "the volumes of this cluster have no statistics"),
    ("envoy_http_jwt_authn_denied", "envoy_http_jwt_authn_denied", "there are no users"),
    ("envoy_http_rbac", "envoy_http_jwt_authn_denied", "there are no users"),
    ("envoy_http_jwt_authn_jwks_", "envoy_http_jwt_authn_jwks_fetch_success", "istiod fetches the keys"),
    ("pilot_jwks_", "pilot_jwks_resolver_network_fetch_success_total", "there are no users"),
    ("pilot_jwks_resolver_network_fetch_fail", "pilot_jwks_resolver_network_fetch_fail_total", "no fetch has failed"),
    ("cnpg_collector", "cnpg_collector_up", "there is one PostgreSQL"),
    ("cnpg_pg_", "cnpg_collector_up", "there is one PostgreSQL"),
    ("cnpg_pgbouncer_", "cnpg_pgbouncer_up", "there is no pooler"),
    (
        "barman_cloud_",
        "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp > 0",
        "there is no archive, or no base backup in it yet",
    ),
    (
        "envoy_cluster_membership_healthy",
        'envoy_cluster_membership_healthy{cluster_name=~"outbound.+[|]identity[.].+"}',
        "there is no identity provider behind the gateway",
    ),
)

SHOWN = [query for file in FILES for query in queries(load(file.stem)) if "annotation" not in query.where]


@dataclass(frozen=True)
class Cluster:
    collection: Collection
    ingress: httpx.AsyncClient
    prometheus: Prometheus
    jaeger: httpx.AsyncClient


@pytest.fixture(scope="session")
async def cluster(ingress_url: str, first_user: SignIn) -> AsyncIterator[Cluster]:
    """After requests of every kind, once Prometheus has their rates."""
    collection = await Collection.of(ingress_url)
    async with (
        client_of(ingress_url, first_user) as ingress,
        httpx.AsyncClient(base_url=f"{os.environ['PROMETHEUS_URL']}/api/v1") as client,
        httpx.AsyncClient(base_url=os.environ["JAEGER_URL"]) as jaeger,
    ):
        prometheus = Prometheus(client)
        async with asyncio.timeout(WITHIN):
            imports = f'http_requests_total{{route="{collection.path}/import"}}'
            while not await prometheus.numbers(f"rate({imports}[1m]) > 0"):
                await ask_everything(ingress, collection)
        yield Cluster(collection, ingress, prometheus, jaeger)


async def test_every_target_is_up(cluster: Cluster) -> None:
    targets = (await cluster.prometheus.ask("/targets"))["activeTargets"]

    assert {target["labels"]["job"] for target in targets} == JOBS
    assert [target["labels"] for target in targets if target["health"] != "up"] == []


async def test_every_rule_is_loaded_and_evaluated(cluster: Cluster) -> None:
    wanted = {
        rule.get("alert") or rule["record"]
        for file in RULES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    }
    groups = (await cluster.prometheus.ask("/rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in rules} == wanted
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []


@pytest.mark.parametrize("query", SHOWN, ids=[query.where for query in SHOWN])
async def test_a_query_finds_data(query: Expression, cluster: Cluster) -> None:
    metrics = named(filled_in(query.text)).metrics
    for beginning, example, reason in NOT_EVERYWHERE:
        if any(name.startswith(beginning) for name in metrics) and not await cluster.prometheus.numbers(example):
            pytest.skip(reason)

    assert await cluster.prometheus.numbers(filled_in(query.text))


@pytest.mark.parametrize("name", [file.stem for file in FILES])
async def test_each_variable_has_values(name: str, cluster: Cluster) -> None:
    for variable, selector, label in variables(load(name)):
        assert await cluster.prometheus.ask(f"/label/{label}/values", **{"match[]": filled_in(selector)}), variable


async def test_a_trace_leads_from_the_gateway_through_the_service_to_a_statement(cluster: Cluster) -> None:
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    path = cluster.collection.path
    answer = await cluster.ingress.get(path, params={"limit": 1}, headers=headers)
    assert answer.status_code == 200

    async with asyncio.timeout(60):
        while len(spans := await spans_of(cluster, trace_id)) < 5:  # noqa: ASYNC110 - Jaeger has no event to wait for
            await asyncio.sleep(1)

    chain = [next(span for span in spans if "db.query.text" in span["tags"])]
    while parents := [span for span in spans if span["id"] == chain[-1]["parent"]]:
        chain += parents
    gateway, sidecar, service = "istio-ingressgateway.istio-system", f"{NAME}.{NAME}", NAME
    assert [span["service"] for span in reversed(chain)] == [gateway, gateway, sidecar, service, service]
    assert chain[1]["name"] == f"GET {path}"
    servers = [span["tags"]["guid:x-request-id"] for span in spans if span["tags"]["span.kind"] == "server"]
    # So that one search finds the spans of the gateway, of the sidecar and of the service.
    assert servers == 3 * [answer.headers["x-request-id"]]


async def test_the_sidecar_keeps_the_exemplars(cluster: Cluster) -> None:
    """It merges the metrics of the service with its own."""
    metric = "http_request_duration_seconds_bucket"

    found = await cluster.prometheus.ask("/query_exemplars", query=metric, start="0", end="9999999999")

    assert [exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]]


async def spans_of(cluster: Cluster, trace_id: str) -> list[dict[str, Any]]:
    answer = await cluster.jaeger.get(f"/api/traces/{trace_id}")
    if answer.status_code == 404:
        return []
    [trace] = answer.json()["data"]
    return [
        {
            "id": span["spanID"],
            "parent": next((ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"), None),
            "name": span["operationName"],
            "service": trace["processes"][span["processID"]]["serviceName"],
            "tags": {tag["key"]: tag["value"] for tag in span["tags"]},
        }
        for span in trace["spans"]
    ]
