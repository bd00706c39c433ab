"""The NetworkPolicies allow exactly the flows in the table of docs/architecture.md."""

import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import product

import pytest

from tests.k8s.kustomization import build
from tests.k8s.objects import find, matches, of_kind, pods
from tests.k8s.project import K8S, ROOT, Object
from tests.k8s.references import OF_OTHERS

Pod = tuple[str, dict[str, str]]  # namespace and labels
Flow = tuple[str, str, int]  # source, target and port

TABLE = re.compile(r"<!-- flows -->\n(.*?)<!-- /flows -->", re.DOTALL)

# Pods that the project's manifests do not create.
OTHERS: dict[str, Pod] = {
    "gateway": ("istio-system", {"app": "istio-ingressgateway", "istio": "ingressgateway"}),
    "istiod": ("istio-system", {"app": "istiod", "istio": "pilot"}),
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "anywhere": ("elsewhere", {}),
}
# Those of an operator, by the kind of objects that need it. The API server is a process of a node.
OPERATORS: dict[str, dict[str, Pod]] = {
    "Cluster": {
        "cnpg-operator": ("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"}),
        "api-server": ("", {}),
    },
    "Certificate": {"acme-solver": ("istio-system", OF_OTHERS)},  # while cert-manager asks for one
    "ScaledObject": {"keda-operator": ("keda", {"app": "keda-operator"})},
}
# Pods whose traffic no policy limits: they belong to others, or their peers cannot be named by a selector.
OPEN_INGRESS = {"dns", "anywhere", "cnpg-operator", "api-server", "keda-operator"}
OPEN_EGRESS = {*OPEN_INGRESS, "istiod", "prometheus", "alertmanager"}
# The ports on which pods of others listen, as far as ours know them. The API server's depends on the cluster.
NOTHING = set[int]()
SERVED = {
    "dns": {53},
    "cnpg-operator": NOTHING,
    "api-server": {443, 6443},
    "keda-operator": NOTHING,
    "anywhere": NOTHING,
}


def table() -> set[Flow]:
    [found] = TABLE.findall((ROOT / "docs" / "architecture.md").read_text())
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found.strip().splitlines()[2:]]
    return {(row[0], row[1], int(row[2])) for row in rows}


def all_pods(objects: list[Object]) -> dict[str, Pod]:
    """The pods by the names that they have in the table: those of their ServiceAccounts."""
    own = {
        template["spec"]["serviceAccountName"]: (item["metadata"]["namespace"], template["metadata"]["labels"])
        for item, template in pods(objects)
    }
    operators = [OPERATORS.get(kind, {}) for kind in {item["kind"] for item in objects}]
    return own | OTHERS | {name: pod for pods_of_one in operators for name, pod in pods_of_one.items()}


def allowed(objects: list[Object]) -> set[Flow]:
    """The flows that the policies allow, of all pairs of pods, all ports that are used anywhere, and some more."""
    known = all_pods(objects)
    ports = {port for _, _, port in table()} | {80, 5558, 9000, 15021, 15090}
    return {
        (source, target, port)
        for source, target, port in product(known, known, ports)
        if source != target
        and port in SERVED.get(target, ports)
        and not (source in OPEN_EGRESS and target in OPEN_INGRESS)
        and (source in OPEN_EGRESS or _passes(objects, "egress", known[source], known[target], port))
        and (target in OPEN_INGRESS or _passes(objects, "ingress", known[target], known[source], port))
    }


def _passes(objects: list[Object], direction: str, pod: Pod, peer: Pod, port: int) -> bool:
    """Kubernetes's rule: a pod that no policy selects is open; for any other one, a policy has to allow the flow."""
    policies = list(_policies(objects, direction, pod))
    return not policies or any(
        _allows(rule, "from" if direction == "ingress" else "to", policy["metadata"]["namespace"], peer, port)
        for policy in policies
        for rule in policy["spec"].get(direction, [])
    )


def _policies(objects: list[Object], direction: str, pod: Pod) -> Iterator[Object]:
    for policy in of_kind(objects, "NetworkPolicy"):
        if (
            policy["metadata"]["namespace"] == pod[0]
            and direction.capitalize() in policy["spec"]["policyTypes"]
            and matches(policy["spec"]["podSelector"].get("matchLabels", {}), pod[1])
        ):
            yield policy


def _allows(rule: Object, side: str, namespace: str, peer: Pod, port: int) -> bool:
    if rule.get("ports") and port not in {entry["port"] for entry in rule["ports"]}:
        return False
    return side not in rule or any(_is_peer(entry, namespace, peer) for entry in rule[side])


def _is_peer(entry: Object, namespace: str, peer: Pod) -> bool:
    labels = entry.get("podSelector", {}).get("matchLabels", {})
    if "namespaceSelector" in entry:
        namespaces = entry["namespaceSelector"]["matchLabels"]
        return matches(namespaces, {"kubernetes.io/metadata.name": peer[0]}) and matches(labels, peer[1])
    return peer[0] == namespace and matches(labels, peer[1])


@pytest.fixture(scope="module")
def everything(with_users: list[Object]) -> list[Object]:
    """With each component that lets others in."""
    objects = deepcopy(with_users)
    for component in ("autoscaling", "autoscaling-requests"):
        objects = build(K8S / "components" / component, objects)
    return objects


def test_the_policies_allow_the_flows_of_the_table_and_no_others(overlay: list[Object]) -> None:
    check_flows(overlay)


def test_the_policies_of_all_components_allow_the_flows_of_the_table_and_no_others(
    every_component: list[Object],
) -> None:
    check_flows(every_component)


def check_flows(overlay: list[Object]) -> None:
    """The source `anywhere` stands for each pod whose own policies do not limit where it sends."""
    known = all_pods(overlay).keys()
    wanted = {
        (name, target, port)
        for source, target, port in table()
        for name in (OPEN_EGRESS - {target} if source == "anywhere" else {source})
        if {name, target} <= known
    }

    assert allowed(overlay) == wanted


def test_every_pod_is_in_the_table_and_no_others(with_users: list[Object], every_component: list[Object]) -> None:
    known = all_pods(with_users).keys() | all_pods(every_component).keys()
    assert known == {name for flow in table() for name in flow[:2]}


@pytest.mark.parametrize(
    ("policy", "direction", "flow"),
    [
        ("mesh", "egress", ("service", "istiod", 15012)),
        ("service", "ingress", ("gateway", "service", 8000)),
        ("postgres", "ingress", ("service", "postgres", 5432)),
        ("postgres-backup", "egress", ("postgres-backup", "postgres", 5432)),
        ("istio-ingressgateway", "egress", ("gateway", "service", 8000)),
        ("istio-ingressgateway-identity", "egress", ("gateway", "identity", 5556)),
        ("identity", "ingress", ("gateway", "identity", 5556)),
        ("istiod", "ingress", ("gateway", "istiod", 15012)),
        ("jaeger", "ingress", ("service", "jaeger", 4318)),
        ("grafana", "egress", ("grafana", "prometheus", 9090)),
        ("postgres-exporter", "egress", ("postgres-exporter", "postgres", 5432)),
        ("prometheus-keda", "ingress", ("keda-operator", "prometheus", 9090)),
    ],
)
def test_a_flow_that_a_policy_forgets_is_missed(
    everything: list[Object], policy: str, direction: str, flow: Flow
) -> None:
    objects = deepcopy(everything)
    assert flow in allowed(objects)

    find(objects, "NetworkPolicy", policy)["spec"][direction] = []

    assert flow not in allowed(objects)


@pytest.mark.parametrize("flow", [("cnpg-operator", "postgres", 8000), ("postgres", "api-server", 443)])
def test_a_flow_of_the_operator_that_a_policy_forgets_is_missed(every_component: list[Object], flow: Flow) -> None:
    objects = deepcopy(every_component)
    assert flow in allowed(objects)

    policy = find(objects, "NetworkPolicy", "postgres")
    policy["spec"] = {**policy["spec"], "ingress": [], "egress": []}

    assert flow not in allowed(objects)


def test_without_policies_every_flow_is_allowed(dev: list[Object]) -> None:
    objects = [item for item in dev if item["kind"] != "NetworkPolicy"]

    assert ("anywhere", "postgres", 5432) in allowed(objects)
