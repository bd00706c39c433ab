"""The pods that CloudNativePG makes, as far as the checks of these tests ask for them.

As version 1.30.0 makes them: `createClusterPodSpec`, `GetSecurityContext` and what they call, in its pkg/specs.
"""

from copy import deepcopy

from tests.k8s.project import Object

CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


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
        "securityContext": CONTAINER,
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


def pooler_template(pooler: Object) -> Object:
    """The template of the pods of a Pooler, as `Deployment` in the operator's pkg/specs/pgbouncer makes it."""
    spec, name = pooler["spec"], pooler["metadata"]["name"]
    template: Object = deepcopy(spec["template"])
    labels = template["metadata"].setdefault("labels", {})
    labels |= {
        "app.kubernetes.io/name": "postgresql",
        "cnpg.io/cluster": spec["cluster"]["name"],
        "cnpg.io/podRole": "pooler",
        "cnpg.io/poolerName": name,
    }
    [container] = template["spec"]["containers"]
    container |= {
        "image": spec["pgbouncer"]["image"],
        "ports": [{"name": "pgbouncer", "containerPort": 5432}, {"name": "metrics", "containerPort": 9127}],
        "securityContext": CONTAINER,
    }
    template["spec"] |= {
        "serviceAccountName": spec.get("serviceAccountName", name),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 998,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return template
