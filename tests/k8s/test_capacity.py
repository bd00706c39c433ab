"""The manifests ask for enough replicas, and for no more CPU, memory and connections than there are."""

import re
from copy import deepcopy

import yaml

from tests.k8s.kustomization import build
from tests.k8s.objects import find, of_kind, pod_spec
from tests.k8s.project import INSTALL, K8S, PRODUCTION, Object, istio_install
from workbench.project import NAME

CPU = 2.0  # cores
MEMORY = 3 * 2**30  # bytes
POOL = 10  # connections; the default of SERVICE_POOL_SIZE

NODES_AND_ZONES = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]

_UNITS = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def quantity(text: str) -> float:
    """The value of a Kubernetes quantity such as `250m` or `64Mi`."""
    number, unit = re.fullmatch(r"([\d.]+)(\D*)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS.get(unit, 1)


def requests(item: Object, resource: str) -> float:
    """The CPU in cores or the memory in bytes that one pod of an object requests.

    Init containers run one after another, before the others: only the largest one counts.
    """
    spec = pod_spec(item) or {}
    init = [quantity(part["resources"]["requests"][resource]) for part in spec.get("initContainers", [])]
    main = [quantity(part["resources"]["requests"][resource]) for part in spec["containers"]]
    return max([sum(main), *init])


def test_the_whole_system_fits_on_a_laptop(with_users: list[Object]) -> None:
    """All pods with their sidecars, istiod and the gateway."""
    install = istio_install()
    sidecar = install["values"]["global"]["proxy"]["resources"]["requests"]
    [gateway] = install["components"]["ingressGateways"]
    istio = [install["components"]["pilot"]["k8s"], gateway["k8s"]]
    for resource, limit in (("cpu", CPU), ("memory", MEMORY)):
        total = sum(quantity(part["resources"]["requests"][resource]) for part in istio)
        for item in with_users:
            if pod_spec(item) is not None:
                replicas = item["spec"].get("replicas", 1)
                total += replicas * (requests(item, resource) + quantity(sidecar[resource]))
        assert total < limit, resource


def test_there_are_two_replicas_or_more(overlay: list[Object]) -> None:
    assert least_replicas(overlay, find(overlay, "Deployment", NAME)) >= 2
    assert find(overlay, "PodDisruptionBudget", "service")["spec"]["maxUnavailable"] == 1


def test_in_production_an_istiod_answers_while_the_node_of_another_restarts() -> None:
    """Without an answer of istiod no pod of the mesh can be created."""
    istiod = production_install()["values"]["pilot"]

    assert istiod["autoscaleEnabled"]  # otherwise the minimum would be ignored, and there would be one
    assert 2 <= istiod["autoscaleMin"] < istiod["autoscaleMax"]
    assert spread(istiod["topologySpreadConstraints"], {"app": "istiod"}) == NODES_AND_ZONES


def test_in_production_a_gateway_answers_while_the_node_of_another_restarts() -> None:
    gateway = production_install()["values"]["gateways"]["istio-ingressgateway"]
    [component] = production_install()["components"]["ingressGateways"]
    [patch] = [entry for entry in component["k8s"]["overlays"] if entry["kind"] == "Deployment"]
    [constraints] = patch["patches"]

    assert gateway["autoscaleEnabled"]
    assert 2 <= gateway["autoscaleMin"] < gateway["autoscaleMax"]
    assert constraints["path"] == "spec.template.spec.topologySpreadConstraints"
    assert spread(constraints["value"], {"istio": "ingressgateway"}) == NODES_AND_ZONES


def test_in_production_the_gateway_is_otherwise_that_of_all_clusters() -> None:
    """Its list of gateways replaces the one of k8s/istio/install.yaml."""
    [everywhere] = istio_install()["components"]["ingressGateways"]
    [there] = production_install()["components"]["ingressGateways"]
    del there["k8s"]["overlays"], there["k8s"]["resources"]["requests"], everywhere["k8s"]["resources"]["requests"]

    assert there == everywhere


def test_the_replicas_of_the_service_are_on_different_nodes_and_zones(overlay: list[Object]) -> None:
    deployment = find(overlay, "Deployment", NAME)
    constraints = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]

    assert spread(constraints, {"app.kubernetes.io/component": "service"}) == NODES_AND_ZONES
    assert all(constraint["matchLabelKeys"] == ["pod-template-hash"] for constraint in constraints)


def test_a_rollout_in_production_gets_on_where_no_pod_can_be_added(production: list[Object]) -> None:
    """It may end one that is not ready, and still leaves as many as the budget of a drain does."""
    assert find(production, "Deployment", NAME)["spec"]["strategy"] == {
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}
    }


def test_every_disruption_budget_lets_a_drain_end(overlay: list[Object]) -> None:
    """A budget that forbids to evict one of the pods, while all are ready, would block the drain of its node."""
    budgets = [item["spec"] for item in of_kind(overlay, "PodDisruptionBudget")]

    assert budgets
    for budget in budgets:
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def production_install() -> Object:
    """The spec of what Istio has only in production."""
    spec: Object = yaml.safe_load((PRODUCTION / INSTALL.name).read_text())["spec"]
    return spec


def spread(constraints: list[Object], labels: dict[str, str]) -> list[str]:
    """Over what pods with these labels are spread, if they may also run where there is nothing to spread over."""
    return [
        constraint["topologyKey"]
        for constraint in constraints
        if constraint["labelSelector"]["matchLabels"] == labels
        and (constraint["maxSkew"], constraint["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
    ]


def autoscaler_of(objects: list[Object], deployment: Object) -> Object | None:
    """What owns the number of replicas; None if the manifest does."""
    found = [
        item
        for item in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
        if item["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    ]
    return found[0] if found else None


def least_replicas(objects: list[Object], item: Object) -> int:
    """How many pods of an object there are without load."""
    spec, autoscaler = item["spec"], autoscaler_of(objects, item)
    if autoscaler is not None:
        limits = autoscaler["spec"]
        return int(limits["minReplicas"] if "minReplicas" in limits else limits["minReplicaCount"])
    return int(spec.get("instances", spec.get("replicas", 1)))


def most_replicas(objects: list[Object], deployment: Object) -> int:
    autoscaler = autoscaler_of(objects, deployment)
    if autoscaler is None:
        return int(deployment["spec"]["replicas"])
    spec = autoscaler["spec"]
    return int(spec["maxReplicas"] if "maxReplicas" in spec else spec["maxReplicaCount"])


def needed_connections(objects: list[Object], *deployments: Object, replicas: int | None = None) -> tuple[int, int]:
    """How many connections of the role may be open at the same time, and its limit.

    A rolling update adds one replica. Each has two connections beside its pool: for readiness and for the feed. With
    a pooler only that for the feed reaches PostgreSQL, and the pooler's own, of one more instance during its update.
    """
    roles = (K8S / "postgres" / "roles.sql").read_text()
    limit = int(roles.split("CREATE ROLE app_rw LOGIN CONNECTION LIMIT ")[1].split(";")[0])
    counts = [(replicas or most_replicas(objects, deployment)) + 1 for deployment in deployments]
    if pooler := next(of_kind(objects, "Pooler"), None):
        spec = pooler["spec"]
        instances = spec["instances"] + spec["deploymentStrategy"]["rollingUpdate"]["maxSurge"]
        return instances * int(spec["pgbouncer"]["parameters"]["default_pool_size"]) + sum(counts), limit
    sizes = map(pool_and_others, deployments)
    return sum(count * size for count, size in zip(counts, sizes, strict=True)), limit


def pool_and_others(deployment: Object) -> int:
    """How many connections one replica may open."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    return int(env.get("SERVICE_POOL_SIZE") or POOL) + 2


def test_the_connections_of_all_replicas_fit_into_the_database(overlay: list[Object]) -> None:
    needed, limit = needed_connections(overlay, find(overlay, "Deployment", NAME))
    assert needed <= limit


def test_with_a_pooler_four_times_as_many_replicas_fit(without_users: list[Object]) -> None:
    """While one of the poolers is away, too."""
    without = deepcopy(without_users)
    for component in ("postgres-ha", "autoscaling"):
        without = build(K8S / "components" / component, without)
    objects = build(K8S / "components" / "postgres-pooler", deepcopy(without))
    deployment = find(objects, "Deployment", NAME)
    replicas = 4 * most_replicas(without, deployment)

    needed, limit = needed_connections(without, deployment, replicas=replicas)
    assert needed > 2 * limit
    needed, limit = needed_connections(objects, deployment, replicas=replicas)
    assert needed <= limit
    pooler = find(objects, "Pooler", "postgres-pooler")["spec"]
    clients = (pooler["instances"] - 1) * int(pooler["pgbouncer"]["parameters"]["max_client_conn"])
    assert 10 * (replicas + 1) * pool_and_others(deployment) < clients
    env = {
        entry["name"]: entry.get("value") for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert "@postgres-pooler:" in env["SERVICE_DATABASE_URL"]
    assert "@postgres:" in env["SERVICE_DATABASE_DIRECT_URL"]
