"""Envoy's statistics for Prometheus, with the path, names and labels that Istio's gateway uses."""

from pathlib import Path

from workbench.ingress.envoy_json import Json, typed

PATH = "/stats/prometheus"
CLUSTER = "administration"

# As in Istio, the label is `cluster_name`, the prefix of a rate limit is part of the metric's name, and what policies
# allow and deny is one metric.
CONFIG: Json = {
    "use_all_default_tags": False,
    "stats_tags": [
        {"tag_name": "cluster_name", "regex": r"^cluster(\.(outbound\|.+?\.svc\.cluster\.local))\."},
        {"tag_name": "http_conn_manager_prefix", "regex": r"^http(\.(ingress|statistics))\."},
        {"tag_name": "response_code", "regex": r"_rq(_(\d{3}))$"},
        {"tag_name": "response_code_class", "regex": r"_rq(_(\dxx))$"},
        {"tag_name": "authz_enforce_result", "regex": r"rbac(\.(allowed|denied))"},
    ],
}


def listener(port: int) -> Json:
    """Serves one path, on this machine only. The rest of the administration interface is not reachable through it."""
    routes = [{"name": "statistics", "match": {"path": PATH}, "route": {"cluster": CLUSTER}}]
    manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="statistics",
        http_filters=[{"name": "envoy.filters.http.router", "typed_config": typed("filters.http.router.v3.Router")}],
        route_config={"virtual_hosts": [{"name": "statistics", "domains": ["*"], "routes": routes}]},
    )
    return {
        "name": "statistics",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def cluster(admin_socket: Path) -> Json:
    address = {"address": {"pipe": {"path": str(admin_socket)}}}
    return {
        "name": CLUSTER,
        "type": "STATIC",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [{"endpoint": address}]}]},
    }
