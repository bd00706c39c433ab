"""Divides Envoy's configuration into what it reads once, and files that it reads again whenever they are replaced.

The routes have a file of their own: Envoy takes new ones without touching a connection. A new listener is for new
connections; those that are open keep the old one.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.ingress.envoy_json import Json

CLUSTERS, LISTENERS, ROUTES = "envoy-clusters.json", "envoy-listeners.json", "envoy-routes.json"
"""The files. Envoy has to know a cluster before the routes that lead to it."""

_INGRESS = "ingress"  # the listener that the rules are for, and its statistics


@dataclass(frozen=True)
class Discovered:
    """What is in the files: the resources of each, in Envoy's JSON form."""

    resources: Mapping[str, list[Json]]

    def content(self, file: str) -> str:
        """What Envoy reads, with the version."""
        response = {"version_info": self.version(file), "resources": self.resources[file]}
        return json.dumps(response, indent=2)

    def version(self, file: str) -> str:
        """The same for the same resources."""
        return hashlib.sha256(json.dumps(self.resources[file]).encode()).hexdigest()[:12]

    def with_clusters_of(self, other: "Discovered") -> "Discovered":
        """These, and the clusters that only the other one has, in case that it has requests in flight for them."""
        own = self.resources[CLUSTERS]
        names = {cluster["name"] for cluster in own}
        more = [cluster for cluster in other.resources[CLUSTERS] if cluster["name"] not in names]
        return Discovered({**self.resources, CLUSTERS: [*own, *more]})


def divide(bootstrap: Json, folder: Path) -> tuple[Json, Discovered]:
    """What `envoy_bootstrap()` has made, as a bootstrap that names files in `folder`, and what belongs into these."""
    rest = copy.deepcopy(bootstrap)
    static = rest["static_resources"]
    [listener] = (found for found in static["listeners"] if found["name"] == _INGRESS)
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes = {**manager.pop("route_config"), "name": _INGRESS}  # a name that no rule changes
    manager["rds"] = {"route_config_name": routes["name"], "config_source": _file(folder / ROUTES)}
    clusters = [found for found in static["clusters"] if found["name"].startswith("outbound|")]
    static["listeners"].remove(listener)
    static["clusters"] = [found for found in static["clusters"] if found not in clusters]
    rest["node"] = {"id": "workbench", "cluster": "workbench"}  # without it, Envoy reads no resources from files
    rest["dynamic_resources"] = {
        "cds_config": _file(folder / CLUSTERS),
        "lds_config": _file(folder / LISTENERS),
    }
    return rest, Discovered(
        {
            CLUSTERS: [_resource("cluster.v3.Cluster", found) for found in clusters],
            LISTENERS: [_resource("listener.v3.Listener", listener)],
            ROUTES: [_resource("route.v3.RouteConfiguration", routes)],
        }
    )


def _file(path: Path) -> Json:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _resource(message: str, resource: Json) -> Json:
    return {"@type": f"type.googleapis.com/envoy.config.{message}", **resource}
