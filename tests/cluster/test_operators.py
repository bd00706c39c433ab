"""The lines of `make status` for the objects of operators, as they write them."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.kubectl import NAMESPACE
from cluster.operators import autoscaler_line, certificate_line, cluster_line, pooler_line
from cluster.status import status
from tests.k8s.project import Object

HEALTHY = "Cluster in healthy state"
CONDITIONS = {
    "ContinuousArchiving": {"status": "True", "reason": "ContinuousArchivingSuccess"},
    "LastBackupSucceeded": {"status": "True", "reason": "LastBackupSucceeded"},
}
ARCHIVER = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}


def conditions(found: Mapping[str, Object]) -> list[Object]:
    return [{"type": kind, **condition} for kind, condition in found.items()]


def cluster(*, fenced: str = "", plugins: tuple[Object, ...] = (ARCHIVER,), **status: Any) -> Object:
    said = status.pop("conditions", CONDITIONS)
    began = {"phase": HEALTHY, "currentPrimary": "shop-1", "readyInstances": 3}
    annotations = {"cnpg.io/fencedInstances": fenced} if fenced else {}
    return {
        "metadata": {"name": "shop", "namespace": "sea", "annotations": annotations},
        "spec": {"instances": 3, "plugins": [*plugins]},
        "status": {**began, "conditions": conditions(said), **status},
    }


def test_a_healthy_cluster_names_its_primary() -> None:
    line = cluster_line(cluster(), serves=True)

    assert (line.kind, line.name, line.state) == ("cluster", "sea/shop", "primary shop-1, 3/3 ready")
    assert line.error == line.remark == ""


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (
            cluster(phase="Failing over", phaseReason="from shop-1 to shop-2", readyInstances=2),
            "Failing over: from shop-1 to shop-2",
        ),
        (cluster(phase="Waiting for user action"), "the primary has to restart: `make switchover` lets another"),
        (cluster(readyInstances=1), "2 instances are not ready"),
        (
            cluster(conditions={"ContinuousArchiving": {"status": "False", "message": "exit status 4"}}),
            "the write-ahead log does not reach the archive: exit status 4: see docs/operations.md#archivingfails",
        ),
        (
            cluster(conditions={"ContinuousArchiving": CONDITIONS["ContinuousArchiving"]}),
            "no base backup yet, so nothing can be restored: `make backup WHERE=production` makes one",
        ),
        (
            cluster(
                conditions={
                    "LastBackupSucceeded": {"status": "False", "reason": "LastBackupFailed", "message": "no bucket"}
                }
            ),
            "the last base backup has failed: no bucket: `make backup WHERE=production` makes one, see docs/",
        ),
        (cluster(fenced='["*"]', readyInstances=0), "fenced, so nobody can write: `kubectl annotate cluster shop -n"),
    ],
    ids=["fails over", "waits", "not ready", "no archive", "no backup", "failed backup", "fenced, though it serves"],
)
def test_a_cluster_that_serves_says_what_is_wrong(found: Object, error: str) -> None:
    assert cluster_line(found, serves=True).error.startswith(error)


@pytest.mark.parametrize(
    ("found", "serves"),
    [
        (cluster(conditions={"LastBackupSucceeded": {"status": "False", "reason": "BackupStarted"}}), True),
        (cluster(conditions={}, plugins=()), True),
        (cluster(conditions={}), False),
        (cluster(fenced="[]"), True),
    ],
    ids=["a backup runs", "there is no archive", "it does not serve", "it was fenced"],
)
def test_what_a_cluster_may_lack(found: Object, serves: bool) -> None:
    line = cluster_line(found, serves=serves)

    assert line.error == line.remark == ""


@pytest.mark.parametrize(("ready", "error"), [(2, ""), (1, "1 of its pods are not ready")])
def test_a_pooler_is_ok_if_its_pods_are_ready(ready: int, error: str) -> None:
    metadata = {"name": "pooler", "namespace": "sea"}
    pooler = {"metadata": metadata, "spec": {"cluster": {"name": "shop"}, "instances": 2}}
    other: Object = {"kind": "Deployment", "metadata": metadata | {"name": "shop"}, "status": {"readyReplicas": 3}}
    own: Object = {"kind": "Deployment", "metadata": metadata, "status": {"readyReplicas": ready}}

    line = pooler_line(pooler, [other, own])

    assert (line.state, line.error) == (f"to shop, {ready}/2 ready", error)
    assert pooler_line(pooler, [other]).error == "2 of its pods are not ready"


def certificate(ready: Object, **status: Any) -> Object:
    return {
        "metadata": {"name": "shop-tls", "namespace": "mesh"},
        "status": {"conditions": conditions({"Ready": ready, **status.pop("conditions", {})}), **status},
    }


MORE = ": `kubectl describe certificate shop-tls -n mesh` says more"
UNTIL = "2027-02-26T04:10:50Z"


@pytest.mark.parametrize(
    ("found", "state", "error"),
    [
        (certificate({"status": "True"}, notAfter=UNTIL), f"valid until {UNTIL}", ""),
        (
            certificate({"status": "False", "message": "Secret does not exist"}),
            "valid until never",
            f"Secret does not exist{MORE}",
        ),
        (
            certificate(
                {"status": "True"},
                notAfter=UNTIL,
                failedIssuanceAttempts=2,
                conditions={"Issuing": {"status": "False", "message": "no such host"}},
            ),
            f"valid until {UNTIL}",
            f"2 tries to get a new one have failed: no such host{MORE}",
        ),
        ({"metadata": {"name": "shop-tls", "namespace": "mesh"}}, "valid until never", f"not issued yet{MORE}"),
    ],
    ids=["valid", "not issued", "not renewed", "new"],
)
def test_a_certificate_says_until_when_it_is_valid_and_why_not_for_longer(
    found: Object, state: str, error: str
) -> None:
    line = certificate_line(found)

    assert (line.name, line.state, line.error) == ("mesh/shop-tls", state, error)


WORKS: Object = {"AbleToScale": {"status": "True"}, "ScalingActive": {"status": "True"}}
AT_MOST = {"ScalingLimited": {"status": "True", "reason": "TooManyReplicas"}}


def autoscaler(found: Object, least: int = 3) -> Object:
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "shop", "namespace": "sea", "uid": "h"},
        "spec": {"minReplicas": least, "maxReplicas": 6},
        "status": {"currentReplicas": 6, "conditions": conditions(found)},
    }


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (autoscaler(WORKS), ""),
        (autoscaler(WORKS | {"ScalingLimited": {"status": "True", "reason": "TooFewReplicas"}}), ""),
        (autoscaler(WORKS | AT_MOST, least=6), ""),
        (autoscaler(WORKS | AT_MOST), "the load asks for more than 6: raise its maximum, see docs/scaling.md#what-"),
        (
            autoscaler(WORKS | AT_MOST | {"ScalingActive": {"status": "False", "message": "no metrics"}}),
            "it does not scale: no metrics",
        ),
        (
            autoscaler(WORKS | {"AbleToScale": {"status": "False", "message": "no such deployment"}}),
            "it does not scale: no such deployment",
        ),
    ],
    ids=["works", "at its minimum", "held", "at its maximum", "no metrics", "no target"],
)
def test_an_autoscaler_says_why_it_does_not_follow_the_load(found: Object, error: str) -> None:
    line = autoscaler_line(found)

    assert line.state.startswith("6 replicas, from ")
    assert line.error.startswith(error)
    assert bool(line.error) is bool(error)


class Answers:
    """Those of a cluster after a restore: `postgres-2` serves, and `postgres` is fenced."""

    def __init__(self) -> None:
        self.serving = "postgres-2"
        self.kinds = {"clusters.postgresql.cnpg.io", "certificates.cert-manager.io"}

    def get(self, kind: str, *_: str, namespace: str = NAMESPACE) -> list[Object]:
        if "." in kind and kind not in self.kinds and not kind.endswith(".istio.io"):
            pytest.fail(f"the server doesn't have a resource type {kind}")
        if kind.endswith("horizontalpodautoscalers") and namespace == NAMESPACE:
            return [autoscaler(WORKS)]
        labels = {"cnpg.io/cluster": "postgres"}
        old, new = cluster(fenced='["*"]', readyInstances=0), cluster()
        old["metadata"] |= {"name": "postgres", "namespace": NAMESPACE}
        new["metadata"] |= {"name": "postgres-2", "namespace": NAMESPACE}
        pod = {
            "metadata": {"name": "postgres-1", "namespace": NAMESPACE, "labels": labels},
            "spec": {"containers": [{}]},
            "status": {"conditions": [{"type": "Ready", "status": "False", "message": "unready"}]},
        }
        ports = {"type": "ClusterIP", "ports": [{"port": 5432}]}
        services = [
            {
                "metadata": {"name": "postgres", "namespace": NAMESPACE},
                "spec": ports | {"selector": {"cnpg.io/cluster": self.serving}},
                "status": {},
            },
            {
                "metadata": {"name": "postgres-rw", "namespace": NAMESPACE, "labels": labels},
                "spec": ports | {"selector": labels},
                "status": {},
            },
        ]
        slices = [{"metadata": {"labels": {"kubernetes.io/service-name": "postgres"}}, "endpoints": [{}]}]
        objects: dict[tuple[str, str], list[Object]] = {
            ("pods", NAMESPACE): [pod],
            ("services", NAMESPACE): services,
            ("endpointslices", NAMESPACE): slices,
            ("clusters.postgresql.cnpg.io", NAMESPACE): [new, old],
            ("certificates.cert-manager.io", "istio-system"): [certificate({"status": "True"}, notAfter=UNTIL)],
        }
        return objects.get((kind, namespace), [])

    def kubectl(self, *_: str, **__: object) -> SimpleNamespace:
        return SimpleNamespace(stdout="\n".join(self.kinds))


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    for name in ("get", "kubectl"):
        monkeypatch.setattr(f"cluster.status.{name}", getattr(answers, name))
    return answers


@pytest.mark.usefixtures("restored")
def test_after_a_restore_the_cluster_of_before_is_ok_and_says_what_to_do_with_it() -> None:
    lines = {(line.kind, line.name.partition("/")[2]): line for line in status()}

    assert [line for line in lines.values() if line.error] == []
    assert lines["cluster", "postgres-2"].remark == ""
    assert lines["cluster", "postgres"].remark == (
        "fenced, it keeps its data: `make restore WHERE=production TO=postgres` goes back to it, `kubectl delete "
        f"cluster postgres -n {NAMESPACE}` deletes it, see docs/database.md#after-a-restore"
    )
    others = {("pod", "postgres-1"), ("service", "postgres-rw"), ("certificate", "shop-tls"), ("autoscaler", "shop")}
    assert others <= lines.keys()


def test_what_is_fenced_while_it_serves_is_not_ok(restored: Answers) -> None:
    restored.serving = "postgres"

    errors = {line.name.partition("/")[2] for line in status() if line.error}

    assert errors == {"postgres", "postgres-1", "postgres-rw"}


def test_kinds_that_the_cluster_does_not_know_have_no_line(restored: Answers) -> None:
    restored.kinds.clear()

    kinds = {line.kind for line in status()}

    assert kinds == {"pod", "service", "autoscaler"}
