"""The manifests ask for enough replicas, and for no more CPU, memory and connections than there are."""

import re

import yaml

from tests.k8s.objects import find, pod_spec
from tests.k8s.project import INSTALL, K8S, Object, istio_install
from workbench.project import NAME

CPU = 2.0  # cores
MEMORY = 3 * 2**30  # bytes
POOL = 10  # connections; the default of SERVICE_POOL_SIZE

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
    assert find(overlay, "Deployment", NAME)["spec"]["replicas"] >= 2
    assert find(overlay, "PodDisruptionBudget", "service")["spec"]["maxUnavailable"] == 1


def test_in_production_an_istiod_answers_while_the_node_of_another_restarts() -> None:
    """Without an answer of istiod no pod of the mesh can be created."""
    install = yaml.safe_load((K8S / "overlays" / "production" / INSTALL.name).read_text())["spec"]["values"]["pilot"]

    assert install["replicaCount"] >= 2
    assert istio_install()["values"]["pilot"]["autoscaleEnabled"] is False  # otherwise the number would be ignored
    [spread] = install["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == {"app": "istiod"}
    assert spread["topologyKey"] == "kubernetes.io/hostname"


def needed_connections(*deployments: Object) -> tuple[int, int]:
    """How many connections their replicas may open at the same time, and the limit of their role.

    A rolling update adds one replica. Each has two connections beside its pool: for readiness and for the feed.
    """
    roles = (K8S / "postgres" / "roles.sql").read_text()
    limit = int(roles.split("CREATE ROLE app_rw LOGIN CONNECTION LIMIT ")[1].split(";")[0])
    needed = 0
    for deployment in deployments:
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        needed += (deployment["spec"]["replicas"] + 1) * (int(env.get("SERVICE_POOL_SIZE") or POOL) + 2)
    return needed, limit


def test_the_connections_of_all_replicas_fit_into_the_database(overlay: list[Object]) -> None:
    needed, limit = needed_connections(find(overlay, "Deployment", NAME))
    assert needed <= limit
