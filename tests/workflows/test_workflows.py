"""What .github/, .devcontainer/ and .vscode/ name is what the rest of the project has."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.options import from_environment

ROOT = Path(__file__).parents[2]
WORKFLOWS: dict[str, dict[str, Any]] = {
    file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
TARGET = re.compile(r"\bmake ([a-z-]+)")


JOBS: dict[str, dict[str, Any]] = {
    f"{workflow}/{name}": job for workflow, content in WORKFLOWS.items() for name, job in content["jobs"].items()
}


def targets(job: dict[str, Any]) -> set[str]:
    """The make targets that a job calls."""
    return {target for step in job.get("steps", ()) for target in TARGET.findall(step.get("run", ""))}


def read(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def test_everything_that_is_made_is_a_target_of_the_makefile() -> None:
    makefiles = (ROOT / "Makefile", *ROOT.glob("adoption/**/targets.mk"))
    known = {target for file in makefiles for target in re.findall(r"(?m)^([a-z-]+):", file.read_text())}
    tasks = {task["label"]: {task["args"][0]} for task in read(".vscode/tasks.json")["tasks"]}
    container = {
        "devcontainer.json": set(TARGET.findall(read(".devcontainer/devcontainer.json")["postCreateCommand"]))
    }
    called = {name: targets(job) for name, job in JOBS.items()} | tasks | container

    assert {name: missing for name, made in called.items() if (missing := made - known)} == {}


@pytest.mark.parametrize("job", JOBS.values(), ids=[*JOBS])
def test_a_job_calls_what_a_person_can_call(job: dict[str, Any]) -> None:
    """A make target, or another workflow, whose jobs do."""
    assert targets(job) or job["uses"].removeprefix("./") in {f".github/workflows/{file}.yml" for file in WORKFLOWS}


def test_contributing_lists_every_job_with_its_targets() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [table] = re.findall(r"<!-- jobs -->\n(.*?)<!-- /jobs -->", page, re.DOTALL)
    rows = [line.split("|")[1:4] for line in table.strip().splitlines()[2:]]
    listed = {f"{workflow.strip(' `')}/{job.strip(' `')}": {*TARGET.findall(made)} for workflow, job, made in rows}

    called = {name: targets(job) - {"environment-dev"} for name, job in JOBS.items() if "uses" not in job}
    if "adopt/adopt" not in called:  # an adopted copy
        del listed["adopt/adopt"]
    assert listed == called


def test_the_oldest_and_the_shipped_python_are_tested() -> None:
    matrix = WORKFLOWS["test"]["jobs"]["test"]["strategy"]["matrix"]
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    [shipped] = re.findall(r"(?m)^ARG PYTHON_IMAGE=\S+python:(\d+\.\d+)", (ROOT / "Dockerfile").read_text())
    [container] = re.findall(r"(?m)^FROM \S+-(3\.\d+)-", (ROOT / ".devcontainer/Dockerfile").read_text())
    others = {row["python"] for row in matrix["include"]}

    assert f">={matrix['python'][0]}" == required
    assert {shipped, container} | others <= {*matrix["python"]}


def test_the_development_container_forwards_the_default_ports() -> None:
    container = read(".devcontainer/devcontainer.json")
    options = from_environment({"PROMETHEUS": "no"}, env_file=ROOT / "nothing")

    assert {options.ingress_port, options.api_port, options.ops_port, options.prometheus_port} < {
        *container["forwardPorts"]
    }
    assert {*map(str, container["forwardPorts"])} == container["portsAttributes"].keys()


def test_the_development_container_has_the_recommended_extensions() -> None:
    installed = read(".devcontainer/devcontainer.json")["customizations"]["vscode"]["extensions"]

    assert installed == read(".vscode/extensions.json")["recommendations"]
