"""k8s/components/autoscaling and autoscaling-requests: who owns the number of replicas, and what it follows."""

from copy import deepcopy

import kubernetes_validate
import pytest

from service.settings import Settings
from tests.k8s import references, rules
from tests.k8s.kustomization import build
from tests.k8s.objects import find, of_kind, pod_spec
from tests.k8s.project import K8S, Object
from tests.k8s.schemas import kubernetes_version
from tests.k8s.test_capacity import most_replicas, needed_connections, quantity
from tests.k8s.test_flows import allowed
from workbench.project import NAME

COMPONENTS = {"autoscaling": "HorizontalPodAutoscaler", "autoscaling-requests": "ScaledObject"}


@pytest.fixture(scope="module", params=COMPONENTS)
def component(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scaled(component: str, without_users: list[Object]) -> list[Object]:
    """What a cluster gets that scales by CPU, or by requests too."""
    return with_autoscaling(without_users, component)


@pytest.fixture(scope="module")
def by_requests(without_users: list[Object]) -> list[Object]:
    return with_autoscaling(without_users, "autoscaling-requests")


def with_autoscaling(objects: list[Object], component: str) -> list[Object]:
    changed = build(K8S / "components" / "autoscaling", deepcopy(objects))
    return changed if component == "autoscaling" else build(K8S / "components" / component, changed)


def autoscaler(objects: list[Object]) -> Object:
    """The only one. Two would take the number from each other."""
    [found] = of_kind(objects, *COMPONENTS.values())
    return found


def test_one_autoscaler_owns_the_number_of_replicas(component: str, scaled: list[Object]) -> None:
    found = autoscaler(scaled)

    assert found["kind"] == COMPONENTS[component]
    assert found["metadata"]["namespace"] == NAME
    assert found["spec"]["scaleTargetRef"]["name"] == NAME
    assert "replicas" not in find(scaled, "Deployment", NAME)["spec"]


def test_in_an_overlay_one_owns_it_too(overlay: list[Object]) -> None:
    """An autoscaler, or the manifest."""
    manifests = [item for item in of_kind(overlay, "Deployment") if item["metadata"]["name"] == NAME]
    owners = [*of_kind(overlay, *COMPONENTS.values()), *(item for item in manifests if "replicas" in item["spec"])]

    assert len(owners) == 1, owners


def test_both_scale_in_the_same_way(without_users: list[Object], by_requests: list[Object]) -> None:
    cpu = autoscaler(with_autoscaling(without_users, "autoscaling"))["spec"]
    requests = autoscaler(by_requests)["spec"]
    [metric] = cpu["metrics"]
    [trigger] = [trigger["metadata"] for trigger in requests["triggers"] if trigger["type"] == "cpu"]
    resource = metric["containerResource"]

    assert requests["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == cpu["behavior"]
    assert (requests["minReplicaCount"], requests["maxReplicaCount"]) == (cpu["minReplicas"], cpu["maxReplicas"])
    assert trigger == {
        "value": str(resource["target"]["averageUtilization"]),
        "containerName": resource["container"],
    }


def test_keda_takes_over_the_autoscaler_of_before(without_users: list[Object], by_requests: list[Object]) -> None:
    """`kubectl apply` does not delete it, and KEDA's webhook refuses a second one."""
    before, after = autoscaler(with_autoscaling(without_users, "autoscaling")), autoscaler(by_requests)

    assert after["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"
    assert after["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] == before["metadata"]["name"]


def test_no_data_in_prometheus_is_no_load_of_zero(by_requests: list[Object]) -> None:
    [trigger] = [part for part in autoscaler(by_requests)["spec"]["triggers"] if part["type"] == "prometheus"]

    assert trigger["metadata"]["ignoreNullValues"] == "false"


def test_the_target_can_be_reached_on_a_full_node_and_leaves_room_for_twice_the_load(
    every_component: list[Object],
) -> None:
    """A replica has one thread. On a full node it gets no more CPU than it requests, in production."""
    triggers = autoscaler(every_component)["spec"]["triggers"]
    [resource] = [trigger["metadata"] for trigger in triggers if trigger["type"] == "cpu"]
    containers = (pod_spec(find(every_component, "Deployment", NAME)) or {})["containers"]
    [requested] = [
        quantity(container["resources"]["requests"]["cpu"])
        for container in containers
        if container["name"] == resource["containerName"]
    ]
    target = float(resource["value"]) / 100

    assert target < 1
    assert 2 * target * requested <= 1


def test_the_load_may_double_before_all_replicas_are_there(scaled: list[Object]) -> None:
    """From the least to the most of them, in one step."""
    spec = autoscaler(scaled)["spec"]
    least = spec.get("minReplicas", spec.get("minReplicaCount"))
    behavior = spec.get("behavior") or spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    [up], [down] = (behavior[way]["policies"] for way in ("scaleUp", "scaleDown"))

    assert 2 * least <= most_replicas(scaled, find(scaled, "Deployment", NAME))
    assert (up["type"], up["value"], behavior["scaleUp"]["stabilizationWindowSeconds"]) == ("Percent", 100, 0)
    assert (down["type"], down["value"]) == ("Pods", 1)
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300


def test_the_connections_of_all_replicas_fit_into_the_database(scaled: list[Object]) -> None:
    needed, limit = needed_connections(scaled, find(scaled, "Deployment", NAME))
    assert needed <= limit


def test_more_replicas_would_not_fit(scaled: list[Object]) -> None:
    """So the test above can fail."""
    objects = deepcopy(scaled)
    spec = autoscaler(objects)["spec"]
    spec["maxReplicas" if "maxReplicas" in spec else "maxReplicaCount"] = 9

    needed, limit = needed_connections(objects, find(objects, "Deployment", NAME))
    assert needed > limit


def test_the_query_asks_for_a_metric_of_the_service_and_a_kind_that_it_has(by_requests: list[Object]) -> None:
    [trigger] = [part for part in autoscaler(by_requests)["spec"]["triggers"] if part["type"] == "prometheus"]
    query, server = trigger["metadata"]["query"], trigger["metadata"]["serverAddress"]
    [port] = find(by_requests, "Service", "prometheus")["spec"]["ports"]

    assert f'http_requests_in_flight{{job="{NAME}", kind="request"}}' in query
    assert server == f"http://prometheus.observability.svc.cluster.local:{port['port']}"
    # What a replica takes at a time, twice doubled.
    assert 4 * float(trigger["metadata"]["threshold"]) <= Settings.model_fields["max_requests"].default


def test_only_kedas_operator_reaches_prometheus_besides(
    by_requests: list[Object], without_users: list[Object]
) -> None:
    added = allowed(by_requests) - allowed(without_users)
    whatever_reaches_anyone = {(source, *to) for source, *to in added if ("anywhere", *to) in allowed(without_users)}

    assert added - whatever_reaches_anyone == {("keda-operator", "prometheus", 9090)}


@pytest.mark.parametrize("check", [*references.CHECKS, *rules.CHECKS], ids=lambda check: check.__name__)
def test_the_manifests_pass(scaled: list[Object], check: references.Check) -> None:
    assert check(scaled) == []


def test_the_objects_of_kubernetes_are_valid(scaled: list[Object]) -> None:
    for item in of_kind(scaled, "HorizontalPodAutoscaler", "Deployment", "NetworkPolicy"):
        kubernetes_validate.validate(item, kubernetes_version(), strict=True)
