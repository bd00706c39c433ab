"""`make switchover`, with the kubectl of kubectl.py."""

from copy import deepcopy

import pytest

from tests.cluster.fake import Fake
from tests.k8s.objects import find
from tests.k8s.project import Object

HEALTHY = {"phase": "Cluster in healthy state"}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
UNREADY = {"conditions": [{"type": "Ready", "status": "False"}]}


@pytest.fixture
def three(fake: Fake, cluster: Object) -> Fake:
    """postgres-1 is the primary. The node of postgres-2 is cordoned."""
    nodes = [{"kind": "Node", "metadata": {"name": name}, "spec": {}} for name in ("a", "b", "c")]
    nodes[1]["spec"] = {"unschedulable": True}
    pods = [_instance(number, node) for number, node in enumerate("abc", start=1)]
    others = [item for item in fake.objects() if item["kind"] not in ("Pod", "Cluster")]
    fake.set(objects=[*others, *nodes, *pods, cluster | {"status": cluster["status"] | HEALTHY}])
    return fake


def test_a_standby_on_a_node_that_takes_pods_becomes_the_primary_and_the_service_leads_to_it(three: Fake) -> None:
    done = three.run(None, "cluster.switchover")

    assert (done.returncode, done.stderr) == (0, "")
    status = three.find("Cluster", "postgres")["status"]
    assert (status["targetPrimary"], status["currentPrimary"]) == ("postgres-3", "postgres-3")
    selector = three.find("Service", "postgres")["spec"]["selector"]
    assert selector.items() <= three.find("Pod", "postgres-3")["metadata"]["labels"].items()
    assert "postgres-3 is the primary" in done.stdout
    assert "postgres-1" not in three.names("Pod"), "it may be one that never gives way by itself"


def test_a_standby_can_be_named(three: Fake) -> None:
    assert three.run(None, "cluster.switchover", TO="postgres-2").returncode == 0

    assert three.find("Cluster", "postgres")["status"]["currentPrimary"] == "postgres-2"


@pytest.mark.parametrize("named", ["postgres-1", "postgres-2", "postgres-9"])
def test_only_a_standby_that_is_ready_takes_over(three: Fake, named: str) -> None:
    objects = three.objects()
    find(objects, "Pod", "postgres-2")["status"] = UNREADY
    three.set(objects=objects)

    done = three.run(None, "cluster.switchover", TO=named)

    assert done.returncode == 1
    assert f"TO={named} cannot take over: the standbys of postgres that are ready: postgres-3" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


def test_without_a_standby_that_is_ready_nothing_changes(three: Fake) -> None:
    objects = three.objects()
    for name in ("postgres-2", "postgres-3"):
        find(objects, "Pod", name)["status"] = UNREADY
    three.set(objects=objects)

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert "no standby of postgres is ready" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


def test_a_cluster_that_is_busy_is_left_alone(three: Fake) -> None:
    objects = three.objects()
    find(objects, "Cluster", "postgres")["status"]["phase"] = "Failing over"
    three.set(objects=objects)

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert "postgres is busy (Failing over)" in done.stderr
    assert "targetPrimary" not in three.find("Cluster", "postgres")["status"]


def test_a_promotion_that_does_not_end_is_an_error_and_moves_no_client(three: Fake) -> None:
    before = deepcopy(three.find("Pod", "postgres-3"))
    three.set(refused=["promotion"])

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert "postgres-3 is not the primary after " in done.stderr
    assert "`kubectl describe cluster postgres -n " in done.stderr
    assert three.find("Pod", "postgres-3") == before


def test_an_error_of_the_api_server_is_passed_on(three: Fake) -> None:
    three.set(refused=["deletion"])

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert done.stderr.startswith("switchover: DELETE /api/v1/namespaces/")
    assert done.stderr.endswith("/pods/postgres-1: pods is forbidden\n")


def test_an_error_of_kubectl_is_passed_on(three: Fake) -> None:
    three.set(refused=["proxy"])

    done = three.run(None, "cluster.switchover")

    assert done.returncode == 1
    assert "kubectl proxy: error: proxy is refused" in done.stderr


def _instance(number: int, node: str) -> Object:
    labels = {"cnpg.io/cluster": "postgres", "cnpg.io/podRole": "instance"}
    labels["cnpg.io/instanceRole"] = "primary" if number == 1 else "replica"
    metadata = {"name": f"postgres-{number}", "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": READY}
