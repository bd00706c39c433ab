"""The image."""

from pathlib import Path

import pytest

from tests.k8s.kustomization import ROOT
from tests.k8s.tiltfile.declared import Declared, FallBackOn, Image, Sync
from tests.k8s.tiltfile.dockerfile import copies, lets_through, needed, stages
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine


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
