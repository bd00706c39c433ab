"""A pod in the place of the service, in the mesh and behind the gateway, that answers what it gets of a request."""

from typing import Any

from cluster.kubectl import NAME, NAMESPACE
from cluster.status import GATEWAY_NAMESPACE

ECHO = "echo"
HOST = "echo.example.com"
"""The gateway sends requests for this host to the pod."""

_PORT = 8000
_LABELS = {"app.kubernetes.io/name": ECHO}
_GATEWAY = {"istio": "ingressgateway"}

# Needs only the standard library, and answers as tests.workbench.ingress.decisions.tell does.
_SOURCE = f"""
import asyncio, json

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            first, *lines = head.decode("latin-1").rstrip().split("\\r\\n")
            headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
            await reader.readexactly(int(dict(headers).get("content-length", 0)))
            user = {{name: value for name, value in headers if name.startswith(("x-user", "authorization"))}}
            got = json.dumps([first.split(" ")[1], user])
            writer.write(f"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\nx-got: {{got}}\\r\\n\\r\\n".encode())
    except asyncio.IncompleteReadError:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, None, {_PORT})
    await server.serve_forever()

asyncio.run(main())
"""


def manifests(image: str) -> list[dict[str, Any]]:
    """The pod, its route, and what lets the gateway reach it. `image` contains Python."""
    port = [{"port": _PORT}]
    network = {
        NAMESPACE: {
            "podSelector": {"matchLabels": _LABELS},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [_pods(GATEWAY_NAMESPACE, _GATEWAY)], "ports": port}],
        },
        GATEWAY_NAMESPACE: {
            "podSelector": {"matchLabels": _GATEWAY},
            "policyTypes": ["Egress"],
            "egress": [{"to": [_pods(NAMESPACE, _LABELS)], "ports": port}],
        },
    }
    gateway = f"{GATEWAY_NAMESPACE}/istio-ingressgateway-service-account"
    return [
        _object("v1", "Pod", _pod(image)),
        _object("v1", "Service", {"selector": _LABELS, "ports": [{"name": "http", "port": 80, "targetPort": _PORT}]}),
        *(_object("networking.k8s.io/v1", "NetworkPolicy", spec, where) for where, spec in network.items()),
        _object(
            "security.istio.io/v1",
            "AuthorizationPolicy",
            {
                "selector": {"matchLabels": _LABELS},
                "rules": [{"from": [{"source": {"serviceAccounts": [gateway]}}]}],
            },
        ),
        _object(
            "networking.istio.io/v1",
            "VirtualService",
            {
                "hosts": [HOST],
                "gateways": [f"{NAMESPACE}/{NAME}"],
                "http": [{"route": [{"destination": {"host": f"{ECHO}.{NAMESPACE}.svc.cluster.local"}}]}],
            },
        ),
    ]


def _object(version: str, kind: str, spec: dict[str, Any], namespace: str = NAMESPACE) -> dict[str, Any]:
    metadata = {"name": ECHO, "namespace": namespace, "labels": _LABELS}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _pods(namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return {"namespaceSelector": where, "podSelector": {"matchLabels": labels}}


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": ECHO,
        "image": image,
        "command": ["python", "-c", _SOURCE],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "containers": [container],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    }
