"""`make intrude`: tests that the service, PostgreSQL and, if there are users, Dex are closed to other pods.

One pod is outside the mesh, the other is in the mesh with another service account. Both are removed at the end. Exit
status: 0 if every connection was refused; 1 if one was not, or if a replica itself gets no answer, so that refusals
would prove nothing.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cluster.kubectl import NAME, NAMESPACE, REPLICAS, ClusterError, apply, get, kubectl, main


@dataclass(frozen=True)
class Intruder:
    where: str
    namespace: str
    sidecar: bool


OUTSIDE = f"{NAMESPACE}-intruder"  # a namespace of its own
# The second pod is in the service's namespace: elsewhere the NetworkPolicies keep a sidecar from its certificate.
INTRUDERS = (
    Intruder("outside of the mesh", OUTSIDE, sidecar=False),
    Intruder("in the mesh, with another account", NAMESPACE, sidecar=True),
)
POD = "intruder"
READY = ("--for=condition=Ready", "--timeout=60s")
POOLER = "cnpg.io/poolerName=postgres-pooler"  # the label of its pods
POSTGRES = ("PostgreSQL", f"postgres.{NAMESPACE}.svc.cluster.local", 5432)

# Sends the first message of the port's protocol to HOST PORT, and prints the beginning of the answer.
KNOCK = r"""
import socket, struct, sys
host, port = sys.argv[1], int(sys.argv[2])
request = f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
hello = struct.pack("!ii", 8, 80877103) if port == 5432 else request.encode()
try:
    with socket.create_connection((host, port), timeout=3) as connection:
        connection.sendall(hello)
        answer = connection.recv(4096)
except OSError as error:
    print(f"nothing: {type(error).__name__}")
else:
    found = ", from the service" if b"\r\nx-service-instance:" in answer.lower() else ""
    print((answer.split(b"\r\n")[0].decode(errors="replace") or "nothing: closed") + found)
"""
BY_A_PROXY = ("HTTP/1.1 403", "HTTP/1.1 503")  # from the service's sidecar, or from the intruder's own


def run() -> int:
    pod = _running_replica()
    targets = list(_targets(pod["status"]["podIP"]))
    mistakes = 0
    # First where it is allowed: only a target that answers here can be refused elsewhere.
    for what, host, port in [("the service's port 8000", "127.0.0.1", 8000), POSTGRES]:
        answer = _knock(NAMESPACE, pod["metadata"]["name"], host, port)
        mistakes += _say("a replica", what, answer, expected=not is_refused(answer))
    try:
        _start(pod["spec"]["containers"][0]["image"])
        for intruder in INTRUDERS:
            for what, host, port in targets:
                answer = _knock(intruder.namespace, POD, host, port)
                mistakes += _say(intruder.where, what, answer, expected=is_refused(answer))
    finally:
        kubectl("delete", "pod", POD, "--ignore-not-found", "--wait=false")
        kubectl("delete", "namespace", OUTSIDE, "--ignore-not-found")
    return 1 if mistakes else 0


def _running_replica() -> dict[str, Any]:
    pods = get("pods", REPLICAS, "--field-selector=status.phase=Running")
    for pod in pods:
        if "deletionTimestamp" not in pod["metadata"]:
            return pod
    raise ClusterError("no replica of the service runs: start it with `tilt up`")


def _targets(replica: str) -> Iterator[tuple[str, str, int]]:
    yield "the service's port 8000", replica, 8000
    yield "the service's port 9000", replica, 9000
    yield "the Service", f"{NAME}.{NAMESPACE}.svc.cluster.local", 80
    yield POSTGRES
    if instances := get("pods", "--selector=cnpg.io/podRole=instance"):
        # It answers the operator and the other instances, so here Kubernetes says that it could answer.
        kubectl("wait", "pods", "--selector=cnpg.io/podRole=instance", *READY)
        yield "PostgreSQL's port 8000", instances[0]["status"]["podIP"], 8000
    if get("pods", f"--selector={POOLER}"):
        # It answers the service alone, so here Kubernetes says that it could answer.
        kubectl("wait", "pods", f"--selector={POOLER}", *READY)
        yield "the pooler", f"postgres-pooler.{NAMESPACE}.svc.cluster.local", 5432
    if get("statefulsets", "--field-selector=metadata.name=identity"):
        # It answers the gateway alone, so here Kubernetes says that it could answer.
        kubectl("wait", "pods", "--selector=app.kubernetes.io/name=identity", *READY)
        yield "Dex", f"identity.{NAMESPACE}.svc.cluster.local", 80


def _start(image: str) -> None:
    """Starts the two pods from the service's image, which is already on the node and contains Python."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}}
    apply(namespace, *(_pod(intruder, image) for intruder in INTRUDERS))
    for intruder in INTRUDERS:
        kubectl("wait", f"pod/{POD}", *READY, namespace=intruder.namespace)


def _pod(intruder: Intruder, image: str) -> dict[str, Any]:
    container = {
        "name": POD,
        "image": image,
        "command": ["python", "-c", "import time; time.sleep(600)"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": POD,
            "namespace": intruder.namespace,
            "labels": {"sidecar.istio.io/inject": str(intruder.sidecar).lower()},
        },
        "spec": {
            "containers": [container],
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        },
    }


def is_refused(answer: str) -> bool:
    return answer.startswith("nothing") or (answer.startswith(BY_A_PROXY) and not answer.endswith("from the service"))


def _knock(namespace: str, pod: str, host: str, port: int) -> str:
    python = ("python", "-c", KNOCK, host, str(port))
    return kubectl("exec", pod, "--", *python, namespace=namespace).stdout.strip()


def _say(where: str, what: str, answer: str, *, expected: bool) -> int:
    sys.stdout.write(f"{'ok' if expected else 'WRONG':6} {where:35} {what:25} {answer!r}\n")
    sys.stdout.flush()
    return 0 if expected else 1


if __name__ == "__main__":
    main(run, "intruder")
