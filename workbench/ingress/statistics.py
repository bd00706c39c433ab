"""Envoy's statistics for Prometheus, as Istio's gateway shows them: the same path, names and labels."""

from pathlib import Path

from workbench.ingress.envoy_json import Json, typed

PATH = "/stats/prometheus"
CLUSTER = "administration"

# Istio names the label `cluster_name`, and lets a rate limit's prefix be part of its metric's name.
CONFIG: Json = {
    "use_all_default_tags": False,
    "stats_tags": [
        {"tag_name": "cluster_name", "regex": r"^cluster(\.(outbound\|.+?\.svc\.cluster\.local))\."},
        {"tag_name": "http_conn_manager_prefix", "regex": r"^http(\.(ingress|statistics))\."},
        {"tag_name": "response_code", "regex": r"_rq(_(\d{3}))$"},
        {"tag_name": "response_code_class", "regex": r"_rq(_(\dxx))$"},
    ],
}


def listener(port: int) -> Json:
    """Answers one path, on this machine only; all else that the administration can do is not behind it."""
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
