"""Checks of this project's rules: security, shutdown, versions, labels. Each returns one line per error."""

import re
from typing import Any

from tests.k8s.objects import containers, describe, of_kind, pod_spec, pods
from tests.k8s.project import Object
from workbench.project import NAME

CLOSES_WITHIN = 5.0  # s; the time after its grace period in which the service closes, see service/__main__.py

_ASKS_THE_API_SERVER = {"Cluster", "Pooler"}  # who is the primary, and for certificates
_REGISTRY = r"[\w.-]+:\d+/"  # with a port, such as localhost:5005/
_PINNED = re.compile(rf"^({_REGISTRY})?[^:@]+(:v?[0-9]+(\.[0-9]+)+[\w.-]*|@sha256:[0-9a-f]{{64}})$")


def shutdown_fits_into_the_grace_period(objects: list[Object]) -> list[str]:
    errors = []
    for item in of_kind(objects, "Deployment"):
        spec = pod_spec(item) or {}
        for container in spec["containers"]:
            env = {entry["name"]: entry.get("value") for entry in container.get("env", [])}
            if "SERVICE_DRAIN_DELAY" not in env:
                continue
            sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            drain, grace = float(env["SERVICE_DRAIN_DELAY"] or 0), float(env["SERVICE_SHUTDOWN_GRACE"] or 0)
            needed, given = sleep + drain + grace + CLOSES_WITHIN, spec["terminationGracePeriodSeconds"]
            if not needed < given:
                errors.append(
                    f"{describe(item)}: shutdown can take {needed:g} s, and the pod is killed after {given} s"
                )
    return errors


def images_are_pinned(objects: list[Object]) -> list[str]:
    return [
        f"{describe(item)}: {container['image']} has no exact version"
        for item in objects
        for container in containers(item)
        if container["image"] != NAME and not _PINNED.match(container["image"])
    ]


def no_secret_is_in_git(objects: list[Object]) -> list[str]:
    errors = [f"{describe(item)}: a Secret must not be in git" for item in of_kind(objects, "Secret")]
    for item in objects:
        for container in containers(item):
            for entry in container.get("env", []):
                of_a_secret = re.search(r"(PASSWORD|TOKEN|KEY|SECRET)(?!.*_FILES?$)", entry["name"])
                if of_a_secret and "value" in entry:
                    errors.append(f"{describe(item)}: the value of {entry['name']} must not be in git")
                if re.search(r"://[^/@]*:[^/@]*@", entry.get("value", "")):
                    errors.append(f"{describe(item)}: {entry['name']} contains a password")
    return errors


def pods_are_restricted(objects: list[Object]) -> list[str]:
    """The Pod Security Standard `restricted`, and what this project requires in addition."""
    errors = []
    for item, template in pods(objects):
        spec: dict[str, Any] = template["spec"]
        pod = spec.get("securityContext", {})
        required: dict[str, bool] = {
            "automountServiceAccountToken is false": (
                spec.get("automountServiceAccountToken") is False or item["kind"] in _ASKS_THE_API_SERVER
            ),
            "runAsNonRoot with a user": pod.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0,
            "seccompProfile is RuntimeDefault": pod.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "no namespace of the host": not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
            "only volumes that the standard allows": all(
                {*volume} - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
                for volume in spec.get("volumes", [])
            ),
        }
        for container in containers(item):
            name, context = container["name"], container.get("securityContext", {})
            resources = container.get("resources", {})
            required |= {
                f"{name}: no privilege escalation": context.get("allowPrivilegeEscalation") is False,
                f"{name}: all capabilities dropped": context.get("capabilities") == {"drop": ["ALL"]},
                f"{name}: requests": {"cpu", "memory"} <= resources.get("requests", {}).keys(),
                f"{name}: a memory limit and no CPU limit": resources.get("limits", {}).keys() == {"memory"},
                f"{name}: the pod's user": "runAsUser" not in context and not context.get("privileged"),
            }
        errors += [f"{describe(item)}: required: {rule}" for rule, holds in required.items() if not holds]
    return errors


def root_is_read_only(objects: list[Object]) -> list[str]:
    return [
        f"{describe(item)}: container {container['name']} can write to its root file system"
        for item in objects
        for container in containers(item)
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True
    ]


def recommended_labels_are_set(objects: list[Object]) -> list[str]:
    return [
        f"{describe(item)}: the label {label} is missing"
        for item in objects
        for label in ("app.kubernetes.io/name", "app.kubernetes.io/part-of")
        if label not in item["metadata"].get("labels", {})
    ]


# Without root_is_read_only: live update writes to the root file system, so the dev overlay breaks that rule.
CHECKS = (
    shutdown_fits_into_the_grace_period,
    images_are_pinned,
    no_secret_is_in_git,
    pods_are_restricted,
    recommended_labels_are_set,
)
