"""The manifests fit together, and a wrong one is found. Nothing here needs a cluster."""

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import secrets
from tests.k8s import checks
from tests.k8s.kustomization import (
    K8S,
    ROOT,
    Object,
    build,
    build_in_python,
    build_with,
    pod_spec,
    real_command,
    without_hashes,
)

CPU = 2.0  # cores
MEMORY = 3 * 2**30  # bytes
OTHER_KINDS = {"install.yaml"}  # istioctl's, not Kubernetes's


def find(objects: list[Object], kind: str, name: str) -> Any:
    [found] = [found for found in objects if (found["kind"], found["metadata"]["name"]) == (kind, name)]
    return found


def test_every_kustomization_builds(folders: list[Path]) -> None:
    assert len(folders) == 11
    for folder in folders:
        assert build(folder), folder


def test_every_manifest_is_part_of_its_kustomization(folders: list[Path]) -> None:
    for folder in folders:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = {*kustomization["resources"], *(patch["path"] for patch in kustomization.get("patches", []))}
        there = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"} - OTHER_KINDS
        assert {entry for entry in named if entry.endswith(".yaml")} == there, folder


def test_each_file_holds_one_object(folders: list[Path]) -> None:
    for file in (file for folder in folders for file in folder.glob("*.yaml")):
        assert len(list(yaml.safe_load_all(file.read_text()))) == 1, file


@pytest.mark.skipif(real_command() is None, reason="neither kubectl nor kustomize is installed")
@pytest.mark.parametrize("overlay_name", ["dev", "production"])
def test_kustomize_and_its_stand_in_agree(overlay_name: str) -> None:
    folder = K8S / "overlays" / overlay_name
    command = real_command()
    assert command

    assert without_hashes(build_in_python(folder)) == without_hashes(build_with(command, folder))


def test_the_stand_in_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("apiVersion: x\nkind: Kustomization\nnamePrefix: my-\n")

    with pytest.raises(ValueError, match="namePrefix"):
        build_in_python(tmp_path)


@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_the_manifests_fit_together(overlay: list[Object], check: checks.Check) -> None:
    assert check(overlay) == []


def _rename_label(objects: list[Object]) -> None:
    find(objects, "Service", "postgres")["spec"]["selector"]["app.kubernetes.io/name"] = "postgresql"


def _wrong_target_port(objects: list[Object]) -> None:
    find(objects, "Service", "slipway")["spec"]["ports"][0]["targetPort"] = 8001


def _wrong_route(objects: list[Object]) -> None:
    find(objects, "VirtualService", "slipway")["spec"]["http"][-1]["route"][0]["destination"]["port"]["number"] = 8080


def _wrong_probe(objects: list[Object]) -> None:
    find(objects, "Deployment", "slipway")["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"][
        "port"
    ] = "admin"


def _unknown_account(objects: list[Object]) -> None:
    rule = find(objects, "AuthorizationPolicy", "postgres")["spec"]["rules"][0]
    rule["from"][0]["source"]["serviceAccounts"] = ["slipway/service"]


def _wrong_policy_port(objects: list[Object]) -> None:
    find(objects, "AuthorizationPolicy", "slipway")["spec"]["rules"][0]["to"][0]["operation"]["ports"] = ["80"]


def _unpinned(tag: str) -> Callable[[list[Object]], None]:
    def change(objects: list[Object]) -> None:
        image = f"docker.io/library/postgres{tag}"
        find(objects, "StatefulSet", "postgres")["spec"]["template"]["spec"]["containers"][0]["image"] = image

    return change


def _long_grace(objects: list[Object]) -> None:
    for entry in find(objects, "Deployment", "slipway")["spec"]["template"]["spec"]["containers"][0]["env"]:
        if entry["name"] == "SERVICE_SHUTDOWN_GRACE":
            entry["value"] = "20"


def _password(objects: list[Object]) -> None:
    env = find(objects, "Deployment", "slipway")["spec"]["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "SERVICE_DATABASE_PASSWORD", "value": "hunter2"})


def _root(objects: list[Object]) -> None:
    del find(objects, "CronJob", "postgres-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "securityContext"
    ]["runAsNonRoot"]


def _other_claim(objects: list[Object]) -> None:
    find(objects, "StatefulSet", "postgres")["spec"]["volumeClaimTemplates"][1]["metadata"]["name"] = "dumps"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (_rename_label, checks.selectors_find_pods, "Service slipway/postgres"),
        (_wrong_target_port, checks.services_reach_ports, "no port 8001"),
        (_wrong_route, checks.services_reach_ports, "route reads"),
        (_wrong_probe, checks.probes_reach_ports, "livenessProbe asks port admin"),
        (_unknown_account, checks.accounts_exist, "no ServiceAccount slipway/service"),
        (_wrong_policy_port, checks.accounts_exist, "no port 80"),
        (_unpinned(":latest"), checks.images_are_pinned, "postgres:latest"),
        (_unpinned(":18"), checks.images_are_pinned, "postgres:18"),
        (_unpinned(""), checks.images_are_pinned, "library/postgres names"),
        (_long_grace, checks.shutdown_adds_up, "may take 30 s"),
        (_password, checks.no_secret_is_here, "SERVICE_DATABASE_PASSWORD"),
        (_root, checks.pods_are_restricted, "runs as no root"),
        (_other_claim, checks.claims_and_config_maps_exist, "backups-postgres-0"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_manifest_is_found(
    dev: list[Object], change: Callable[[list[Object]], None], check: checks.Check, words: str
) -> None:
    objects = deepcopy(dev)
    change(objects)

    assert any(words in line for line in check(objects)), check(objects)


def test_only_the_reloading_container_can_write_to_its_root(dev: list[Object], production: list[Object]) -> None:
    assert checks.root_is_read_only(production) == []
    assert checks.root_is_read_only(dev) == ["Deployment slipway/slipway: slipway can write to its root file system"]


def test_dev_relaxes_only_what_live_update_needs(dev: list[Object]) -> None:
    parts = ("namespaces", "istio", "observability", "postgres", "service")
    base = [found for part in parts for found in build(K8S / part)]
    changed = [found for found in without_hashes(dev) if found not in without_hashes(base)]

    [service, grafana] = sorted(changed, key=checks.name, reverse=True)
    assert checks.name(service) == "Deployment slipway/slipway"
    assert checks.name(grafana) == "Deployment observability/grafana"
    [original] = [found for found in base if checks.name(found) == "Deployment slipway/slipway"]
    [container] = service["spec"]["template"]["spec"]["containers"]
    expected = deepcopy(original)
    [expected_container] = expected["spec"]["template"]["spec"]["containers"]
    for field in ("env", "resources", "securityContext"):
        expected_container[field] = container[field]
    assert service == expected
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": False,
    }


def test_every_key_of_a_secret_is_made(overlay: list[Object]) -> None:
    wanted = {
        (reference["name"], reference["key"])
        for found in overlay
        for container in checks.containers(found)
        for entry in container.get("env", [])
        if (reference := entry.get("valueFrom", {}).get("secretKeyRef"))
    }

    made = {("database", password) for password in secrets.PASSWORDS} | {("grafana", secrets.GRAFANA_PASSWORD)}
    assert wanted == made
    gateway = find(overlay, "Gateway", "slipway")
    assert {
        server["tls"]["credentialName"] for server in gateway["spec"]["servers"] if server["port"]["number"] == 443
    } == {"slipway-tls"}


def test_two_replicas_or_more(overlay: list[Object]) -> None:
    assert find(overlay, "Deployment", "slipway")["spec"]["replicas"] >= 2
    assert find(overlay, "PodDisruptionBudget", "slipway")["spec"]["maxUnavailable"] == 1


def test_the_whole_system_fits_on_a_laptop(dev: list[Object]) -> None:
    """Requests of all pods with their sidecars, of istiod and of the gateway."""
    install = yaml.safe_load((K8S / "istio" / "install.yaml").read_text())["spec"]
    sidecar = install["values"]["global"]["proxy"]["resources"]["requests"]
    [gateway] = install["components"]["ingressGateways"]
    fixed = [install["components"]["pilot"]["k8s"], gateway["k8s"]]
    totals = {}
    for resource in ("cpu", "memory"):
        total = sum(checks._quantity(part["resources"]["requests"][resource]) for part in fixed)
        for found in dev:
            if pod_spec(found) is not None:
                replicas = found["spec"].get("replicas", 1)
                total += replicas * (checks.requests(found, resource) + checks._quantity(sidecar[resource]))
        totals[resource] = total

    assert totals["cpu"] < CPU
    assert totals["memory"] < MEMORY


def test_the_workbench_and_the_cluster_make_the_same_roles(dev: list[Object]) -> None:
    [init] = [found for found in dev if found["kind"] == "ConfigMap" and "10-roles.sql" in found["data"]]

    assert init["data"]["10-roles.sql"] == (K8S / "postgres" / "roles.sql").read_text()
    assert sorted(init["data"]) == ["10-roles.sql", "20-passwords.sql"]  # PostgreSQL's image runs them in this order


def test_the_connections_of_all_replicas_fit_into_the_database(overlay: list[Object]) -> None:
    """A rolling update has one replica more for a while. Beside its pool each has two: readiness and the feed."""
    roles = (K8S / "postgres" / "roles.sql").read_text()
    limit = int(roles.split("CREATE ROLE app_rw LOGIN CONNECTION LIMIT ")[1].split(";")[0])
    deployment = find(overlay, "Deployment", "slipway")
    [pool] = {
        int(entry["value"])
        for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        if entry["name"] == "SERVICE_POOL_SIZE"
    } or {10}

    assert (deployment["spec"]["replicas"] + 1) * (pool + 2) <= limit


def test_the_versions_are_those_of_the_tools() -> None:
    """The cluster's, istioctl's and kubectl's, in the three files that name them."""
    tools = (ROOT / "mise.toml").read_text()
    install = yaml.safe_load((K8S / "istio" / "install.yaml").read_text())["spec"]
    cluster = list(yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text()))[1]
    kubernetes = cluster["k3d"]["v1alpha5Simple"]["image"].removeprefix("rancher/k3s:v").split("-")[0]

    assert f'istioctl = "{install["tag"]}"' in tools
    assert f'kubectl = "{kubernetes}"' in tools
    assert install["hub"] == "docker.io/istio"


def test_what_images_are_made_from_is_pinned() -> None:
    [base] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.search(r":\d+\.\d+\.\d+\S*$", base), f"Dockerfile: {base} is no exact version"


def test_istio_is_pinned() -> None:
    tag = yaml.safe_load((K8S / "istio" / "install.yaml").read_text())["spec"]["tag"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(tag)), f"install.yaml: spec.tag {tag} is no exact version"
