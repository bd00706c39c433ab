"""The pods that CloudNativePG makes, as far as the checks of these tests ask for them.

As version 1.30.0 makes them: `createClusterPodSpec`, `GetSecurityContext` and what they call, in its pkg/specs.
"""

from tests.k8s.project import Object

GROUP = "postgresql.cnpg.io/"


def instance_template(cluster: Object, role: str = "primary") -> Object:
    """The template of an instance of a Cluster: of its primary, or of a standby with the role `replica`."""
    spec, name = cluster["spec"], cluster["metadata"]["name"]
    inherited = spec.get("inheritedMetadata", {})
    labels = {
        "app.kubernetes.io/name": "postgresql",
        "cnpg.io/cluster": name,
        "cnpg.io/podRole": "instance",
        "cnpg.io/instanceRole": role,
    }
    container = {
        "name": "postgres",
        "image": spec["imageName"],
        "ports": [
            {"name": "postgresql", "containerPort": 5432},
            {"name": "metrics", "containerPort": 9187},
            {"name": "status", "containerPort": 8000},
        ],
        "resources": spec["resources"],
        "env": spec.get("env", []),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "metadata": {
            "labels": labels | inherited.get("labels", {}),
            "annotations": inherited.get("annotations", {}),
        },
        "spec": {
            "serviceAccountName": spec.get("serviceAccountName", name),
            "priorityClassName": spec.get("priorityClassName"),
            "topologySpreadConstraints": spec.get("topologySpreadConstraints", []),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": spec.get("postgresUID", 26),
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }
