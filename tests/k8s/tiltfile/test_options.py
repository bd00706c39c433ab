"""What can be chosen."""

import re

import pytest

from tests.k8s.kustomization import ROOT, Object, build
from tests.k8s.tiltfile.declared import Declared, TiltfileError, TiltfileFailed, all_objects, identity
from tests.k8s.tiltfile.dockerfile import stages
from tests.k8s.tiltfile.expected import RESOURCES
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine


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


@pytest.mark.parametrize(("subcommand", "lines"), [("up", 1), ("ci", 0), ("down", 0)])
def test_a_start_says_where_the_page_will_be(subcommand: str, lines: int, machine: Machine) -> None:
    printed = run(ROOT, machine, subcommand=subcommand).printed
    assert len(printed) == lines
    assert all("http://localhost:8080" in line for line in printed)
