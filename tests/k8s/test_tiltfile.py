"""What `tilt up` would do: the Tiltfile, run without tilt. Where tilt is, it has to see the same."""

import importlib
import inspect
import json
import os
import posixpath
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import yaml

from cluster import actions, secrets
from tests.k8s.kustomization import Object, build, pod_template
from tests.k8s.tilt import (
    Blob,
    Declared,
    FallBackOn,
    Image,
    Link,
    Sync,
    TiltfileError,
    TiltfileFailed,
    TriggerMode,
    identity,
    run,
)

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "k8s" / "istio" / "install.yaml"
ISTIO = str(yaml.safe_load(INSTALL.read_text())["spec"]["tag"])

# A cold start: what is on the left is there before what is on the right begins.
COLD_START = [
    ("namespaces", "secrets"),
    ("namespaces", "istio-crds"),
    ("istio-crds", "istio-base"),
    ("istio-base", "istiod"),
    ("istiod", "istio-ingressgateway"),
    ("istiod", "mesh-rules"),
    ("istio-ingressgateway", "slipway"),
    ("mesh-rules", "postgres"),
    ("secrets", "postgres"),
    ("postgres", "slipway"),
    ("slipway", "ingress-tests"),
]

# Each resource: its label, and what it waits for.
RESOURCES: dict[str, tuple[str, set[str]]] = {
    "namespaces": ("mesh", set()),
    "secrets": ("data", {"namespaces"}),
    "istio-crds": ("mesh", {"namespaces"}),
    "istio-base": ("mesh", {"namespaces", "istio-crds"}),
    "istiod": ("mesh", {"istio-base"}),
    "istiod-state": ("mesh", {"istiod"}),
    "istio-ingressgateway": ("mesh", {"istiod", "secrets"}),
    "mesh-rules": ("mesh", {"istiod"}),
    "postgres": ("data", {"secrets", "istiod", "mesh-rules"}),
    "postgres-backup": ("data", {"postgres"}),
    "slipway": ("app", {"postgres", "mesh-rules", "istio-ingressgateway"}),
    "prometheus": ("observability", {"namespaces"}),
    "jaeger": ("observability", {"namespaces"}),
    "grafana": ("observability", {"secrets", "prometheus", "jaeger"}),
    "postgres-exporter": ("observability", {"postgres"}),
    "ingress-tests": ("checks", {"slipway"}),
    "lint": ("checks", set()),
    "load": ("checks", set()),
}


def istio_manifests() -> str:
    """Like those of `istioctl manifest generate`, but few."""

    def item(group: str, kind: str, name: str, **fields: Any) -> Object:
        return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, **fields}

    def namespaced(group: str, kind: str, name: str, **fields: Any) -> Object:
        made = item(group, kind, name, **fields)
        made["metadata"]["namespace"] = "istio-system"
        return made

    def workload(name: str) -> Iterator[Object]:
        template = {
            "metadata": {"labels": {"app": name, "istio": name}},
            "spec": {"containers": [{"name": name, "image": f"docker.io/istio/{name}:{ISTIO}"}]},
        }
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        yield namespaced("apps/v1", "Deployment", name, spec=spec)
        yield namespaced("v1", "Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})
        yield namespaced("v1", "ServiceAccount", name)

    names = {"plural": "gateways", "kind": "Gateway"}
    definition = {"group": "networking.istio.io", "names": names, "scope": "Namespaced", "versions": []}
    rbac, admission = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"
    return Blob.of(
        [
            item(
                "apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.networking.istio.io", spec=definition
            ),
            item(rbac, "ClusterRole", "istio:reader", rules=[]),
            item(admission, "MutatingWebhookConfiguration", "istio-sidecar-injector", webhooks=[]),
            namespaced("v1", "ConfigMap", "istio", data={"mesh": "accessLogEncoding: JSON\n"}),
            *workload("istio-ingressgateway"),
            *workload("istiod"),
        ]
    ).text


@dataclass
class Machine:
    """Answers the commands that the Tiltfile runs while it is read. Any other one is an error."""

    folder: Path
    missing: tuple[str, ...] = ()
    istioctl: str = f"client version: {ISTIO}"
    istio: str = field(default_factory=istio_manifests)
    commands: list[list[str]] = field(default_factory=list)

    def __call__(self, command: list[str]) -> str:
        self.commands.append(command)
        match command:
            case ["sh", "-c", script, "sh", *tools] if "command -v" in script:
                return self._shell(script, tools)
            case ["istioctl", "manifest", "generate", "-f", file]:
                assert ROOT / file == INSTALL
                return self.istio
            case ["istioctl", "version", "--remote=false", "--short"]:
                return f"{self.istioctl}\n"
            case ["python3", "-m", "cluster.secrets"]:
                return json.dumps(secrets.manifests(self.folder / "secrets"))
        raise AssertionError(f"the Tiltfile runs {command}")

    def _shell(self, script: str, tools: list[str]) -> str:
        """With no other programs on the PATH than those of the tools that are not missing."""
        programs = self.folder / "-".join(("bin", *self.missing))
        programs.mkdir(exist_ok=True)
        for tool in set(tools) - set(self.missing):
            (programs / tool).touch(mode=0o755)
        shell = shutil.which("sh") or "/bin/sh"
        arguments = [shell, "-c", script, "sh", *tools]
        return subprocess.run(
            arguments, env={"PATH": str(programs)}, capture_output=True, text=True, check=True
        ).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the machine keeps its secrets: made once, so that they are the same each time."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture
def machine(folder: Path) -> Machine:
    return Machine(folder)


@pytest.fixture(scope="module")
def declared(folder: Path) -> Declared:
    """By `tilt up`. Tests do not change it."""
    return run(ROOT, Machine(folder), context="k3d-slipway")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the Tiltfile reads, to be broken."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("Tiltfile", "Dockerfile"):
        shutil.copy(ROOT / name, copy)
    for name in ("tilt", "k8s"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def all_objects(declared: Declared) -> list[Object]:
    return [item for resource in declared.resources.values() for item in resource.objects]


def owner(declared: Declared, kind: str, name: str) -> str:
    """The resource in which an object is, and all others of that name."""
    [found] = {
        resource.name
        for resource in declared.resources.values()
        for item in resource.objects
        if identity(item)[1::2] == (kind, name)
    }
    return found


def before(declared: Declared, name: str) -> set[str]:
    """All that a resource waits for, directly or not."""
    waiting, found = [name], set[str]()
    while waiting:
        new = declared.graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


# Resources and their order.


def test_the_resources_their_labels_and_what_each_waits_for(declared: Declared) -> None:
    assert {name: (resource.labels, set(resource.deps)) for name, resource in declared.resources.items()} == {
        name: ({label}, deps) for name, (label, deps) in RESOURCES.items()
    }


def test_a_resource_waits_for_nothing_twice(declared: Declared) -> None:
    for resource in declared.resources.values():
        assert len(resource.deps) == len(set(resource.deps)), resource.name


def test_a_cold_start_has_an_order(declared: Declared) -> None:
    assert set().union(*declared.graph.values()) <= set(declared.resources)  # Tilt would ignore an unknown one
    assert len([*TopologicalSorter(declared.graph).static_order()]) == len(declared.resources)  # no cycle
    for first, second in COLD_START:
        assert first in before(declared, second), f"{second} does not wait for {first}"


def test_every_object_is_in_exactly_one_resource(declared: Declared, folder: Path) -> None:
    given = [
        *build(ROOT / "k8s" / "overlays" / "dev"),
        *Blob(istio_manifests()).objects,
        *secrets.manifests(folder / "secrets")["items"],
    ]
    assert Counter(map(identity, all_objects(declared))) == Counter(map(identity, given))
    # The custom deploy applies nothing. Nothing else is without objects but what only runs here.
    empty = {name for name, resource in declared.resources.items() if not resource.objects}
    assert empty == {"istiod-state", "ingress-tests", "lint", "load"}


@pytest.mark.parametrize(
    ("kind", "name", "resource"),
    [
        ("Service", "slipway", "slipway"),
        ("ServiceAccount", "slipway", "slipway"),
        ("PodDisruptionBudget", "slipway", "slipway"),
        ("NetworkPolicy", "slipway", "slipway"),
        ("Service", "postgres", "postgres"),
        ("ServiceAccount", "postgres", "postgres"),
        ("NetworkPolicy", "postgres", "postgres"),
        ("CronJob", "postgres-backup", "postgres-backup"),
        ("ServiceAccount", "postgres-backup", "postgres-backup"),
        ("NetworkPolicy", "postgres-backup", "postgres-backup"),
        ("Namespace", "slipway", "namespaces"),
        ("Namespace", "observability", "namespaces"),
        ("ConfigMap", "prometheus-rules", "prometheus"),
        ("ClusterRole", "slipway-prometheus", "prometheus"),
        ("ConfigMap", "grafana-dashboard-service", "grafana"),
        ("Service", "jaeger", "jaeger"),
        ("ServiceAccount", "postgres-exporter", "postgres-exporter"),
        ("Namespace", "istio-system", "namespaces"),
        ("NetworkPolicy", "default-deny", "namespaces"),
        ("Secret", "database", "secrets"),
        ("Secret", "slipway-tls", "secrets"),
        ("CustomResourceDefinition", "gateways.networking.istio.io", "istio-crds"),
        ("ClusterRole", "istio:reader", "istio-base"),
        ("ServiceAccount", "istiod", "istio-base"),
        ("Service", "istiod", "istiod"),
        ("Service", "istio-ingressgateway", "istio-ingressgateway"),
        ("VirtualService", "slipway", "mesh-rules"),
        ("PeerAuthentication", "default", "mesh-rules"),
    ],
)
def test_an_object_is_in_its_resource(kind: str, name: str, resource: str, declared: Declared) -> None:
    assert owner(declared, kind, name) == resource


def test_what_the_mesh_handles_comes_after_the_mesh(declared: Declared) -> None:
    mesh = {owner(declared, "Deployment", "istiod"), "istio-crds"}
    injected = {
        item["metadata"]["name"]
        for item in all_objects(declared)
        if item["kind"] == "Namespace" and item["metadata"].get("labels", {}).get("istio-injection") == "enabled"
    }
    checked = set()
    for resource in declared.resources.values():
        for item in resource.objects:
            group, kind, namespace, name = identity(item)
            if group.endswith(".istio.io") or (pod_template(item) and namespace in injected):
                assert mesh <= before(declared, resource.name), (kind, name)
                checked.add(kind)
    assert {"VirtualService", "EnvoyFilter", "Deployment", "StatefulSet", "CronJob"} <= checked


def test_a_namespace_is_there_before_what_is_in_it(declared: Declared) -> None:
    for resource in declared.resources.values():
        for item in resource.objects:
            _, kind, namespace, name = identity(item)
            home = namespace and owner(declared, "Namespace", namespace)
            assert home in {"", resource.name, *before(declared, resource.name)}, (kind, name)


def test_pods_come_with_or_after_the_objects_that_they_name(declared: Declared) -> None:
    known = {
        identity(item)[1:]: resource.name for resource in declared.resources.values() for item in resource.objects
    }
    checked = set()
    for resource in declared.resources.values():
        for item in resource.objects:
            template = pod_template(item) or {}
            for kind, name in references(template):
                there = known[kind, item["metadata"]["namespace"], name]
                assert there in {resource.name, *before(declared, resource.name)}, (resource.name, kind, name)
                checked.add((kind, name.split("-")[0]))
    assert {("Secret", "database"), ("ConfigMap", "postgres"), ("ServiceAccount", "slipway")} <= checked


def references(value: Any) -> Iterator[tuple[str, str]]:
    """The objects that a pod cannot start without."""
    kinds = {
        "secretKeyRef": ("Secret", "name"),
        "configMap": ("ConfigMap", "name"),
        "secret": ("Secret", "secretName"),
    }
    if isinstance(value, dict):
        if "serviceAccountName" in value:
            yield "ServiceAccount", value["serviceAccountName"]
        for key, inner in value.items():
            if key in kinds and isinstance(inner, dict) and kinds[key][1] in inner:
                if inner[kinds[key][1]] != "kube-root-ca.crt":  # which is in every namespace by itself
                    yield kinds[key][0], inner[kinds[key][1]]
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


# What can be chosen.


def test_replicas_are_those_of_the_manifests_unless_asked_otherwise(declared: Declared, machine: Machine) -> None:
    asked = run(ROOT, machine, context="k3d-slipway", arguments=["--replicas=3"])
    usual = {identity(item): item for item in all_objects(declared)}
    changed = {identity(item): item for item in all_objects(asked)}
    deployment = ("apps", "Deployment", "slipway", "slipway")

    built = {identity(item): item for item in build(ROOT / "k8s" / "overlays" / "dev")}
    assert usual[deployment] == built[deployment]
    assert usual[deployment]["spec"]["replicas"] == 2
    assert changed[deployment]["spec"].pop("replicas") == 3
    assert changed[deployment] == without(usual[deployment], "replicas")
    assert {**changed, deployment: None} == {**usual, deployment: None}
    assert (asked.graph, asked.images, asked.commands) == (declared.graph, declared.images, declared.commands)


def without(item: Object, field: str) -> Object:
    return {**item, "spec": {key: value for key, value in item["spec"].items() if key != field}}


@pytest.mark.parametrize("value", ["0", "many", "10", "-1", "1.5", "", "٣"])
def test_a_number_of_replicas_that_makes_no_sense(value: str, machine: Machine) -> None:
    with pytest.raises(TiltfileFailed, match=f"^--replicas={re.escape(value)} is not a number from 1 to 9$"):
        run(ROOT, machine, arguments=["--replicas", value])


def test_the_server_is_a_choice_of_the_image(machine: Machine) -> None:
    image = run(ROOT, machine, arguments=["--server=uvicorn"]).images["slipway"]
    assert image.build_args == {"SERVER": "uvicorn"}
    for target in ("dev", "runtime"):
        assert any("SERVICE_SERVER=${SERVER}" in line for line in stages()[target].all("ENV")), target


def test_a_server_that_there_is_not(machine: Machine) -> None:
    with pytest.raises(TiltfileFailed, match=r"^--server=gunicorn is neither hypercorn nor uvicorn$"):
        run(ROOT, machine, arguments=["--server=gunicorn"])


def test_the_most_replicas(machine: Machine) -> None:
    asked = run(ROOT, machine, arguments=["--replicas", "9"])
    [deployment] = [item for item in asked.resources["slipway"].objects if item["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 9


def test_observability_can_be_left_out(declared: Declared, machine: Machine) -> None:
    without_it = run(ROOT, machine, arguments=["--observability=false"])

    left_out = {name for name, (label, _) in RESOURCES.items() if label == "observability"}
    assert declared.resources.keys() - without_it.resources.keys() == left_out
    [usual, changed] = (
        item["spec"]["template"]["spec"]["containers"][0]["env"]
        for found in (declared, without_it)
        for item in found.resources["slipway"].objects
        if item["kind"] == "Deployment"
    )
    assert {entry["name"] for entry in usual} - {entry["name"] for entry in changed} == {
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "SERVICE_LINK_GRAFANA",
        "SERVICE_LINK_JAEGER",
        "SERVICE_LINK_PROMETHEUS",
    }
    assert [entry for entry in usual if entry in changed] == changed
    [usual, changed] = (
        item["spec"]
        for found in (declared, without_it)
        for item in found.resources["mesh-rules"].objects
        if item["kind"] == "Telemetry"
    )
    assert usual["tracing"]
    assert changed == {key: value for key, value in usual.items() if key != "tracing"}


def test_a_flag_that_is_not_known(machine: Machine) -> None:
    with pytest.raises(TiltfileError, match="unknown flag: --replica"):
        run(ROOT, machine, arguments=["--replica=3"])


def test_resources_can_be_chosen(declared: Declared, machine: Machine) -> None:
    assert declared.enabled == []  # all
    assert run(ROOT, machine, arguments=["postgres", "--replicas=1", "lint"]).enabled == ["postgres", "lint"]


def test_a_build_behind_a_mirror(declared: Declared, machine: Machine) -> None:
    image = run(
        ROOT,
        machine,
        environment={"PYTHON_IMAGE": "mirror/python", "PIP_INDEX_URL": "", "PIP_CERT": "/ca.pem", "HOME": "/"},
    ).images["slipway"]
    assert image.build_args == {"PYTHON_IMAGE": "mirror/python"}
    assert image.secret == ("id=ca,src=/ca.pem",)
    assert "--mount=type=secret,id=ca" in (ROOT / "Dockerfile").read_text()
    assert (declared.images["slipway"].build_args, declared.images["slipway"].secret) == ({}, ())


@pytest.mark.parametrize(("subcommand", "tested"), [("ci", True), ("up", False), ("down", False)])
def test_only_ci_runs_the_ingress_tests_by_itself(subcommand: str, tested: bool, machine: Machine) -> None:
    declared = run(ROOT, machine, subcommand=subcommand)
    by_itself = {name: resource.auto_init for name, resource in declared.resources.items()}
    assert by_itself == {**dict.fromkeys(RESOURCES, True), "ingress-tests": tested, "lint": False, "load": False}


def test_checks_run_when_they_are_asked_to_and_hold_nothing_up(declared: Declared) -> None:
    for resource in declared.resources.values():
        check = resource.labels == {"checks"}
        assert resource.trigger_mode is (TriggerMode.MANUAL if check else TriggerMode.AUTO), resource.name
        assert resource.allow_parallel is check, resource.name


def test_what_has_no_pods_is_ready_without_them(declared: Declared) -> None:
    for resource in declared.resources.values():
        pods = any(map(pod_template, resource.objects))
        if resource.objects or resource.name == "istiod-state":
            assert (resource.pod_readiness == "ignore") is not pods, resource.name


# What has to be there.


@pytest.mark.parametrize("context", ["kind-other", "k3d-other", "production"])
def test_another_cluster_is_refused(context: str, machine: Machine) -> None:
    with pytest.raises(TiltfileFailed) as refused:
        run(ROOT, machine, context=context)
    assert f"{context}, not k3d-slipway" in str(refused.value)
    assert "ctlptl apply -f ctlptl.yaml" in str(refused.value)
    assert machine.commands == []


def test_its_own_cluster_or_none(declared: Declared, machine: Machine) -> None:
    names = {item["name"] for item in cluster_file() if item["kind"] == "Cluster"}
    assert set(declared.contexts) == names == {"k3d-slipway"}
    assert run(ROOT, machine, context="").graph == declared.graph


def cluster_file() -> list[Object]:
    return list(yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text()))


def test_missing_tools_are_named_with_how_to_get_them(folder: Path) -> None:
    with pytest.raises(TiltfileFailed) as failed:
        run(ROOT, Machine(folder, missing=("istioctl", "openssl")))
    first, *lines = str(failed.value).splitlines()
    assert first == "Tools are missing:"
    assert [line.split(":")[0] for line in lines] == ["  istioctl", "  openssl"]
    assert "https://istio.io/" in lines[0]
    assert "mise install" in lines[0]
    assert "package openssl" in lines[1]


def test_every_tool_is_looked_for(declared: Declared, machine: Machine) -> None:
    run(ROOT, machine)
    [looked_for] = [set(command[4:]) for command in machine.commands if command[0] == "sh"]
    used = {command[0] for command in commands(declared)} | {command[0] for command in machine.commands}
    assert used - {"sh"} <= looked_for
    assert "openssl" in looked_for  # which cluster.secrets starts


@pytest.mark.parametrize("version", ["client version: 1.30.4", f"{ISTIO}0", "unknown", ""])
def test_another_istioctl_is_refused(version: str, folder: Path) -> None:
    with pytest.raises(TiltfileFailed, match=rf"^istioctl is {version}, .*install\.yaml asks for Istio {ISTIO}: "):
        run(ROOT, Machine(folder, istioctl=version))


def test_the_version_that_is_asked_for_is_read_from_its_file(project: Path, folder: Path) -> None:
    replace(project / "k8s" / "istio" / "install.yaml", f"tag: {ISTIO}", "tag: 1.99.0")
    with pytest.raises(TiltfileFailed, match=r"asks for Istio 1\.99\.0"):
        run(project, Machine(folder))
    assert run(project, Machine(folder, istioctl="client version: 1.99.0")).resources


def test_mise_installs_the_istioctl_that_is_asked_for() -> None:
    assert installed("istioctl") == ISTIO


def test_the_tilt_that_is_installed_is_new_enough(declared: Declared) -> None:
    constraint = declared.settings["version"]["constraint"]
    assert constraint.startswith(">=")
    assert version(installed("tilt")) >= version(constraint[2:])


def installed(tool: str) -> str:
    """The version that `mise install` brings."""
    return str(tomllib.loads((ROOT / "mise.toml").read_text())["tools"][tool])


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def test_nothing_is_sent_to_anybody(declared: Declared) -> None:
    assert declared.settings["analytics"] == {"enable": False}
    assert declared.settings["version"]["check_updates"] is False


@pytest.mark.parametrize(("subcommand", "lines"), [("up", 1), ("ci", 0), ("down", 0)])
def test_a_start_says_where_the_page_will_be(subcommand: str, lines: int, machine: Machine) -> None:
    printed = run(ROOT, machine, subcommand=subcommand).printed
    assert len(printed) == lines
    assert all("http://localhost:8080" in line for line in printed)


# The image.


@dataclass(frozen=True)
class Stage:
    """A FROM of the Dockerfile and what follows."""

    base: str
    instructions: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]


def stages() -> dict[str, Stage]:
    """By name; before the first one, as ``""``, what is outside of all."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found = {"": Stage("", [])}
    current = found[""]
    for line in filter(None, re.sub(r"\\\n", " ", text).splitlines()):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            current = found[name] = Stage(base, [])
        else:
            current.instructions.append((instruction, rest))
    return found


def ancestry(name: str) -> list[Stage]:
    """The stage, and those that it is made from, the oldest first."""
    stage = stages().get(name)
    return [*ancestry(stage.base), stage] if stage else []


def needed(name: str) -> set[str]:
    """The stages that are built for this one."""
    if name not in stages():
        return set()
    copied = [source for copy in stages()[name].all("COPY") for source in re.findall(r"--from=(\S+)", copy)]
    return {name}.union(*map(needed, [stages()[name].base, *copied]))


def copies(name: str) -> dict[str, tuple[str, list[str]]]:
    """Where the stage's copies of the context end up: the source, and the options."""
    folder, found = "/", {}
    for stage in ancestry(name):
        for instruction, rest in stage.instructions:
            words = shlex.split(rest)
            options = [word for word in words if word.startswith("--")]
            if instruction == "WORKDIR":
                folder = posixpath.join(folder, rest)
            elif instruction == "COPY" and not any(option.startswith("--from") for option in options):
                *sources, target = words[len(options) :]
                for source in sources:
                    inside = (
                        target + Path(source).name if target.endswith("/") and (ROOT / source).is_file() else target
                    )
                    found[posixpath.normpath(posixpath.join(folder, inside))] = (source, options)
    return found


def lets_through(path: str) -> bool:
    """Whether .dockerignore does: its last pattern that matches the path, or a folder above it, decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        expression = "".join(
            {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
            for part in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern)
        )
        if re.fullmatch(f"{expression}(/.*)?", path):
            kept = line.startswith("!")
    return kept


@pytest.fixture
def image(declared: Declared) -> Image:
    [image] = declared.images.values()
    return image


def test_the_image_is_the_one_that_the_deployment_runs(declared: Declared, image: Image) -> None:
    [deployment] = [item for item in declared.resources["slipway"].objects if item["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert {container["image"] for container in pod["containers"] + pod["initContainers"]} == {image.ref}


def test_the_image_has_a_target_of_the_dockerfile(image: Image) -> None:
    assert (image.context, image.dockerfile) == (".", "Dockerfile")
    assert image.target == "dev"
    assert image.target in stages()


def test_what_the_image_is_made_from_reaches_docker(image: Image) -> None:
    for path in image.only:
        assert (ROOT / path).exists(), path
        assert lets_through(path), path
    sources = {source for name in needed(image.target) for source, _ in copies(name).values()}
    assert "requirements/service.txt" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert lets_through(source), source
        assert any(Path(source).is_relative_to(path) for path in image.only), source


def test_nothing_else_reaches_docker(image: Image) -> None:
    assert not lets_through("tests")
    assert not lets_through(".secrets/tls.key")
    assert not lets_through("service/__pycache__/app.cpython-313.pyc")
    used = {Path(source).parts[0] for name in needed(image.target) for source, _ in copies(name).values()}
    assert set(image.only) == used  # a save elsewhere builds nothing


def test_a_save_is_copied_to_where_the_image_has_its_sources(image: Image, declared: Declared) -> None:
    syncs = [step for step in image.live_update if isinstance(step, Sync)]
    assert syncs
    for step in syncs:
        source, options = copies(image.target)[step.remote]
        assert source == step.local
        # The container's user replaces the files, so they have to be its own.
        [user] = stages()[image.target].all("USER")
        assert f"--chown={user}" in options
        assert any(Path(step.local).is_relative_to(path) for path in image.only)
    [deployment] = [item for item in declared.resources["slipway"].objects if item["kind"] == "Deployment"]
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is False
        assert "command" not in container  # the target's entrypoint is what reloads


def test_what_a_save_cannot_bring_makes_a_new_image(image: Image) -> None:
    paths = {path for step in image.live_update if isinstance(step, FallBackOn) for path in step.paths}
    assert paths == {"requirements", "service/migrations"}
    for path in paths:
        assert (ROOT / path).exists(), path
        assert any(Path(path).is_relative_to(other) for other in image.only), path


def test_build_arguments_come_from_the_environment_and_are_known(machine: Machine) -> None:
    given = {
        name: f"of {name}" for name in ("PYTHON_IMAGE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")
    }
    [image] = run(ROOT, machine, environment={**given, "HTTP_PROXY": "http://proxy"}).images.values()
    assert image.build_args == given
    known = {arg.partition("=")[0] for name in ("", *needed(image.target)) for arg in stages()[name].all("ARG")}
    assert known == {*given, "SERVER"}  # and those that the Dockerfile takes can be given


# Commands, buttons and links.


def commands(declared: Declared) -> list[tuple[str, ...]]:
    """All that would run on this machine."""
    return [
        *(command for resource in declared.resources.values() for command in resource.commands),
        *(command.args for command in declared.commands.values()),
    ]


def test_every_command_exists(declared: Declared, machine: Machine) -> None:
    run(ROOT, machine)
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    seen = set()
    for command in [*commands(declared), *map(tuple, machine.commands)]:
        match command:
            case ("make", target, *variables):
                assert target in targets
                for variable in variables:
                    name, equals, _ = variable.partition("=")
                    assert equals, command
                    assert re.search(rf"\b{name}\b", makefile), f"the Makefile does not know {name}"
            case ("python3", "-m", module, *arguments):
                assert module.startswith("cluster.")
                assert (ROOT / Path(*module.split("."))).with_suffix(".py").is_file()
                check_arguments(module, arguments)
            case ("kubectl" | "istioctl" | "sh", *_):
                pass
            case _:
                raise AssertionError(f"not known here: {command}")
        seen.add(command[0])
    assert seen == {"make", "python3", "kubectl", "istioctl", "sh"}


def check_arguments(module: str, arguments: list[str]) -> None:
    if module == "cluster.actions":
        [action] = arguments
        assert action in actions.ACTIONS
    elif module == "cluster.backups":
        [usage] = re.findall(
            r"usage: python -m cluster\.backups \((.*?)\)", (ROOT / "cluster/backups.py").read_text()
        )
        assert " ".join(arguments) in usage.split("|")
    else:
        assert arguments == []


def test_the_modules_need_nothing_but_python(declared: Declared, machine: Machine) -> None:
    """They run with the system's python3, which has none of the project's packages."""
    run(ROOT, machine)
    all_commands = [*commands(declared), *map(tuple, machine.commands)]
    modules = sorted({command[2] for command in all_commands if command[:2] == ("python3", "-m")})
    assert len(modules) >= 4
    without_packages = [sys.executable, "-S", "-E", "-c", f"import {', '.join(modules)}"]
    subprocess.run(without_packages, cwd=ROOT, check=True, timeout=30)


def test_every_action_has_a_button(declared: Declared) -> None:
    used = {command.args[3] for command in declared.commands.values() if command.args[2] == "cluster.actions"}
    assert used == set(actions.ACTIONS)


def test_every_file_that_is_named_exists(declared: Declared) -> None:
    words = [word.rpartition("=")[2] for command in commands(declared) for word in command]
    named = declared.paths | {word for word in words if "/" in word and "://" not in word}
    assert {"k8s/overlays/dev", "k8s/istio/install.yaml", "tests/ingress", "service"} <= named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_a_click_runs_its_command_in_the_project(declared: Declared) -> None:
    assert declared.buttons.keys() == declared.commands.keys()
    assert len(declared.buttons) == 4
    for name, button in declared.buttons.items():
        command = declared.commands[name]
        assert command.start_on is not None
        assert command.start_on.buttons == (name,)
        assert command.folder == str(ROOT)
        assert command.args
        assert button.location is not None
        assert button.location.component_type == "Resource"
        # Tilt shows a button, and its log, only where both agree.
        assert button.location.component_id in declared.resources
        assert button.annotations["tilt.dev/resource"] == button.location.component_id
        assert command.annotations["tilt.dev/resource"] == button.location.component_id
        assert button.text
        assert ElementTree.fromstring(button.icon).tag == "svg"  # noqa: S314 - our own; a name would need the internet


def test_only_what_cannot_be_undone_asks_twice(declared: Declared) -> None:
    asks = {name for name, button in declared.buttons.items() if button.confirm}
    assert asks == {name for name, command in declared.commands.items() if "delete-notes" in command.args}
    assert len(asks) == 1


def test_what_a_button_asks_for_is_what_its_action_reads(declared: Declared) -> None:
    asked = {name: [entry.name for entry in button.inputs] for name, button in declared.buttons.items()}
    assert {name for name, entries in asked.items() if entries} == {"psql"}
    for name, entries in asked.items():
        for entry in entries:
            action = actions.ACTIONS[declared.commands[name].args[3]]
            assert f'os.environ.get("{entry}"' in inspect.getsource(action)
    [statement] = declared.buttons["psql"].inputs
    assert statement.text is not None
    assert statement.text.default_value.startswith("SELECT ")  # a click with the default changes nothing


def links(declared: Declared) -> list[Link]:
    return [link for resource in declared.resources.values() for link in resource.links]


def test_links_lead_to_the_ports_of_the_cluster(declared: Declared) -> None:
    [cluster] = [item for item in cluster_file() if item["kind"] == "Cluster"]
    ports = {int(entry["port"].split(":")[-2]) for entry in cluster["k3d"]["v1alpha5Simple"]["ports"]}
    assert ports == {8080, 8443, 30080}
    urls = [urlsplit(link.url) for link in links(declared)]
    forwards = [forward for resource in declared.resources.values() for forward in resource.port_forwards]
    assert {url.port for url in urls} == ports | {int(forward.split(":")[0]) for forward in forwards}
    for url in urls:
        assert url.scheme == ("https" if url.port == 8443 else "http")
        assert url.hostname == "localhost"
    assert all(link.name for link in links(declared))


def test_what_runs_here_asks_the_ingress(declared: Declared) -> None:
    given = {word for command in commands(declared) for word in command if word.startswith("INGRESS_URL=")}
    assert given == {f"INGRESS_URL={declared.resources['istio-ingressgateway'].links[0].url}"}


def test_down_removes_what_istiod_made(declared: Declared) -> None:
    applies, removes = declared.resources["istiod-state"].commands
    assert applies[:2] == ("kubectl", "get")  # it changes nothing
    assert removes == ("python3", "-m", "cluster.leftovers")
    assert importlib.util.find_spec(removes[2]) is not None


# The interpreter itself: a broken Tiltfile is an error, and it is that one.


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("labels='app',", "label='app',", "unexpected keyword argument 'label'"),
        ("kustomize('", "kustomise('", "`kustomise` not found"),
        ("TRIGGER_MODE_MANUAL", "TRIGGER_MODE_NEVER", "`TRIGGER_MODE_NEVER` not found"),
        ("k8s_resource('istiod',", "k8s_resource('pilot',", "unknown resource 'pilot'"),
        ("objects=objects(secrets)", "objects=objects(mesh_rules)", "is in another resource already"),
        ("objects=objects(secrets)", "objects=['nothing']", "nothing matches 0 objects"),
        ("objects=objects(secrets)", "objects=['postgres']", r"postgres matches \d objects"),
        ("secrets, istio_crds, istio,", "secrets, secrets, istio_crds, istio,", "Duplicate YAML"),
        ("labels='app',", "labels='the app',", "Invalid label 'the app'"),
        ("new_name='secrets'", "new_name='postgres'", "two resources postgres"),
        ("['make', 'lint']", "['make', 3]", "not a list of strings"),
        ("mesh_rules, ingress_rules, database, service])", "'k8s/nowhere.yaml'])", "nowhere"),
        ("watch_file(", "local('date'); watch_file(", "the Tiltfile runs"),
        ("load('./tilt/buttons.tiltfile', 'button',", "load('./tilt/buttons.tiltfile', button='knob',", "`knob`"),
        ("sync('service', '/app/service')", "'service'", "live_update takes steps"),
    ],
)
def test_a_broken_tiltfile(old: str, new: str, message: str, project: Path, machine: Machine) -> None:
    replace(project / "Tiltfile", old, new)
    with pytest.raises(TiltfileError, match=message):
        run(project, machine)


def test_an_object_without_a_resource_is_seen(project: Path, machine: Machine) -> None:
    replace(project / "Tiltfile", "objects(mesh_rules) + objects(ingress_rules)", "objects(ingress_rules)")
    left = run(project, machine).resources["uncategorized"].objects
    assert "PeerAuthentication" in {item["kind"] for item in left}


# With tilt.


@pytest.mark.skipif(
    not all(map(shutil.which, ("tilt", "istioctl", "kubectl"))),
    reason="needs tilt, istioctl and kubectl: `mise install` brings them",
)
@pytest.mark.parametrize("arguments", [[], ["--replicas=3", "--observability=false"]])
def test_tilt_sees_the_same(arguments: list[str], tmp_path: Path, project: Path) -> None:
    shutil.copytree(ROOT / "cluster", project / "cluster")  # it makes its secrets beside itself
    for name in ("requirements", "service", "workbench"):
        (project / name).symlink_to(ROOT / name)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "k3d-slipway",
                "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [{"name": "k3d-slipway", "context": {"cluster": "nowhere", "user": "nobody"}}],
            }
        )
    )
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
    separator = ["--"] if arguments else []
    done = subprocess.run(
        ["tilt", "alpha", "tiltfile-result", "--file", project / "Tiltfile", *separator, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = {manifest["Name"]: manifest for manifest in json.loads(done.stdout)["Manifests"]}

    generate = ["istioctl", "manifest", "generate", "-f", str(INSTALL)]
    istio = subprocess.run(generate, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    machine = Machine(tmp_path, istio=istio)
    declared = run(project, machine, subcommand="alpha tiltfile-result", arguments=arguments)
    assert {name: set(manifest["ResourceDependencies"] or ()) for name, manifest in seen.items()} == declared.graph
    assert {name: set(manifest["Labels"]) for name, manifest in seen.items()} == {
        name: resource.labels for name, resource in declared.resources.items()
    }
    for name, resource in declared.resources.items():
        assert Counter(map(identity, deployed(seen[name]))) == Counter(map(identity, resource.objects)), name
        assert replicas(deployed(seen[name])) == replicas(resource.objects), name


def deployed(manifest: dict[str, Any]) -> list[Object]:
    target = manifest["DeployTarget"]
    return Blob(target.get("yaml", "")).objects


def replicas(items: list[Object]) -> dict[str, int]:
    return {
        item["metadata"]["name"]: item["spec"]["replicas"] for item in items if "replicas" in item.get("spec", {})
    }
