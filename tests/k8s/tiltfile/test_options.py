"""What a developer can choose: flags, environment variables, and the subcommand of Tilt."""

import re
import shutil
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.k8s.objects import find, identity
from tests.k8s.project import K8S, ROOT, Object
from tests.k8s.tiltfile.api import TiltfileError
from tests.k8s.tiltfile.conftest import Run
from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from workbench.project import NAME
from workbench.reload import debugging

DEPLOYMENT = "Deployment", NAME
TELEMETRY = "Telemetry", "mesh"
LINKS = {"OTEL_EXPORTER_OTLP_ENDPOINT", "SERVICE_LINK_GRAFANA", "SERVICE_LINK_JAEGER", "SERVICE_LINK_PROMETHEUS"}


@pytest.mark.parametrize(("flags", "replicas"), [({}, 2), ({"replicas": "3"}, 3), ({"replicas": "9"}, 9)])
def test_the_flag_changes_only_the_replicas(
    flags: dict[str, str], replicas: int, dev: list[Object], declared: Declared, tilt: Run
) -> None:
    expected = deepcopy(declared.objects)
    assert find(expected, *DEPLOYMENT) in dev
    find(expected, *DEPLOYMENT)["spec"]["replicas"] = replicas

    assert tilt(flags=flags).objects == expected


@pytest.mark.parametrize(
    ("flag", "value", "problem"),
    [
        *(("replicas", value, "is not a number from 1 to 9") for value in ("0", "many", "10", "-1", "1.5", "", "٣")),
        ("server", "gunicorn", "is neither hypercorn nor uvicorn"),
        ("identity", "true", "is neither yes nor no"),
    ],
)
def test_an_invalid_value_is_refused(flag: str, value: str, problem: str, tilt: Run) -> None:
    with pytest.raises(TiltfileError, match=f"^--{flag}={re.escape(value)} {problem}$"):
        tilt(flags={flag: value})


def test_observability_can_be_left_out(declared: Declared, tilt: Run) -> None:
    without = tilt(flags={"observability": False})

    left_out = declared.resources.keys() - without.resources.keys()
    assert left_out == {name for name, one in declared.resources.items() if one["labels"] == "observability"}
    expected, mesh = (deepcopy(find(declared.objects, *one)) for one in (DEPLOYMENT, TELEMETRY))
    [container] = expected["spec"]["template"]["spec"]["containers"]
    kept = [entry for entry in container["env"] if entry["name"] not in LINKS]
    assert len(container["env"]) == len(kept) + len(LINKS)
    container["env"] = kept
    assert find(without.objects, *DEPLOYMENT) == expected
    assert mesh["spec"].pop("tracing")
    assert find(without.objects, *TELEMETRY) == mesh


def test_a_replica_can_be_debugged(declared: Declared, tilt: Run) -> None:
    debugged = tilt(flags={"debug": True})

    assert (declared.resources[NAME]["port_forwards"], debugged.resources[NAME]["port_forwards"]) == ([], "5678")
    expected, rules = (deepcopy(find(declared.objects, *one)) for one in (DEPLOYMENT, ("VirtualService", NAME)))
    [container] = expected["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": debugging.PORT, "value": "5678"})
    assert container.pop("livenessProbe")
    assert find(debugged.objects, *DEPLOYMENT) == expected
    for route in rules["spec"]["http"]:
        route.pop("timeout", None)
        route.get("retries", {}).pop("perTryTimeout", None)
    assert rules != find(declared.objects, "VirtualService", NAME)
    assert find(debugged.objects, "VirtualService", NAME) == rules
    patches = find(debugged.objects, "EnvoyFilter", "request-buffer")["spec"]["configPatches"]
    routes = [patch["patch"]["value"].get("route", {}) for patch in patches]
    assert {route["idle_timeout"] for route in routes if route} == {"0s"}


def test_users_can_be_left_out(declared: Declared, dev: list[Object], without_users: list[Object], tilt: Run) -> None:
    without = tilt(flags={"identity": "no"})

    assert not without.resources.keys() & {"identity", "users"}
    not_of_kustomize = Counter(map(identity, declared.objects)) - Counter(map(identity, dev))  # Istio, the Secrets
    assert Counter(map(identity, without.objects)) == Counter(map(identity, without_users)) + not_of_kustomize
    assert find(without.objects, *DEPLOYMENT) in without_users


def with_components(project: Path, *names: str) -> Path:
    """The project, whose overlay `dev` lists these components, or none."""
    (project / "k8s").unlink()
    shutil.copytree(K8S, project / "k8s")
    file = project / "k8s" / "overlays" / "dev" / "kustomization.yaml"
    components = {"components": [f"../../components/{name}" for name in names]}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | components))
    return project


@pytest.mark.parametrize("components", [["autoscaling"], ["autoscaling", "autoscaling-requests"]])
def test_the_number_of_an_autoscaler_is_not_set(components: list[str], project: Path, folder: Path) -> None:
    declared = run(with_components(project, *components), Machine(folder), flags={"replicas": "3"})

    assert "replicas" not in find(declared.objects, *DEPLOYMENT)["spec"]
    of_service = {item["kind"] for item in declared.resources[NAME]["objects"]}
    assert len(of_service & {"HorizontalPodAutoscaler", "ScaledObject"}) == 1


def test_an_operator_may_make_the_pods_of_postgresql(project: Path, folder: Path) -> None:
    declared = run(with_components(project, "postgres-ha", "postgres-archive", "postgres-pooler"), Machine(folder))

    of_postgres = {identity(item)[1:4:2] for item in declared.resources["postgres"]["objects"]}
    services = {("Service", "postgres"), ("Service", "postgres-standbys")}
    assert of_postgres > {("Cluster", "postgres"), ("Pooler", "postgres-pooler"), *services}
    assert "uncategorized" not in declared.resources
    assert "postgres" in declared.waits_for[NAME]
    assert not [command for command in declared.commands if "cluster.backups" in command]


@pytest.mark.parametrize("flags", [{}, {"identity": "yes"}])
@pytest.mark.parametrize("provider", [["identity-provider"], []], ids=["Dex", "elsewhere"])
def test_the_overlay_says_whether_there_are_users(
    flags: dict[str, str], provider: list[str], project: Path, folder: Path
) -> None:
    """Nobody reaches the service before the rules are there, nor do these come before the keys of the provider."""
    declared = run(with_components(project, "identity", *provider), Machine(folder), flags=flags)

    identities = {"identity"} if provider else set()
    assert declared.resources.keys() & {"identity", "users"} == {"users", *identities}
    assert declared.waits_for["users"] == {"mesh-rules", *identities}
    assert "users" in declared.waits_for[NAME]
    rules = {item["kind"] for item in declared.resources["users"]["objects"]}
    assert rules == {"RequestAuthentication", "AuthorizationPolicy", "EnvoyFilter"}
    container = find(declared.objects, *DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "SERVICE_IDENTITY", "value": "gateway"} in container["env"]


def test_users_that_the_overlay_does_not_have_are_refused(project: Path, folder: Path) -> None:
    without = with_components(project)
    assert run(without, Machine(folder)).resources.keys().isdisjoint({"identity", "users"})

    with pytest.raises(
        TiltfileError, match=r"^--identity=yes, and k8s/overlays/dev has no users: list the components"
    ):
        run(without, Machine(folder), flags={"identity": "yes"})


def test_resources_can_be_named_on_the_command_line(declared: Declared, tilt: Run) -> None:
    named = tilt(flags={"resources": ["postgres", "lint"]})

    assert declared.of("config.define_string_list")["resources"]["args"] is True  # no flag before them
    assert declared.only("config.set_enabled_resources")["resources"] == []  # which means all
    assert named.only("config.set_enabled_resources")["resources"] == ["postgres", "lint"]


@pytest.mark.parametrize("subcommand", ["up", "ci", "down"])
def test_only_ci_runs_the_ingress_tests_and_only_up_prints_where_the_page_is(subcommand: str, tilt: Run) -> None:
    found = tilt(subcommand=subcommand)

    on_demand = {name for name, resource in found.resources.items() if not resource["auto_init"]}
    assert on_demand == {"lint", "load"} | ({"ingress-tests"} if subcommand != "ci" else set())
    assert ["http://localhost:8080" in line for line in found.printed] == ([True] if subcommand == "up" else [])


def test_an_image_can_be_built_behind_a_mirror(declared: Declared, tilt: Run) -> None:
    environment = {"PYTHON_IMAGE": "mirror/python", "PIP_INDEX_URL": "", "PIP_CERT": "/ca.pem", "HOME": "/"}
    image = tilt(environment=environment).only("docker_build")

    assert (image["build_args"], image["secret"]) == ({"PYTHON_IMAGE": "mirror/python"}, "id=ca,src=/ca.pem")
    assert "--mount=type=secret,id=ca" in (ROOT / "Dockerfile").read_text()
    usual = declared.only("docker_build")
    assert (usual["build_args"], usual["secret"]) == ({}, "")
