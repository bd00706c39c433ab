"""The image: what it is built from, and how a save reaches its containers."""

import posixpath
import re
import shlex
from pathlib import Path

from tests.k8s.objects import containers, find
from tests.k8s.project import ROOT
from tests.k8s.tiltfile.conftest import Run
from tests.k8s.tiltfile.declared import Declared
from workbench.project import NAME

Instructions = list[tuple[str, str]]


def stages() -> dict[str, Instructions]:
    """The instructions of each stage, by its name, after those of the stage or of the ARGs that it is based on."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Instructions] = {"": []}
    name = ""
    for line in filter(None, text.splitlines()):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = list(found.get(base, found[""]))
        else:
            found[name].append((instruction, rest))
    return found


def built(name: str) -> Instructions:
    """The instructions of a stage and of all stages that it copies from."""
    own = stages()[name]
    return own + [more for _, rest in own for source in re.findall(r"--from=(\S+)", rest) for more in built(source)]


def copies(instructions: Instructions) -> list[tuple[str, str, list[str]]]:
    """Each copy from the project: its source, its target and its options."""
    folder, found = "/", []
    for instruction, rest in instructions:
        if instruction == "WORKDIR":
            folder = posixpath.join(folder, rest)
        elif instruction == "COPY" and "--from=" not in rest:
            words = shlex.split(rest)
            options = [word for word in words if word.startswith("--")]
            *sources, target = words[len(options) :]
            found += [(source, posixpath.join(folder, target), options) for source in sources]
    return found


def test_the_deployment_runs_the_target_that_reloads(declared: Declared) -> None:
    image, deployment = declared.only("docker_build"), find(declared.objects, "Deployment", NAME)

    assert (image["context"], image["target"]) == (".", "dev")
    assert {container["image"] for container in containers(deployment)} == {image["ref"]}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is False  # or a save could not be copied
    assert "command" not in container  # so that the entrypoint of the target runs


def test_docker_gets_the_sources_of_the_image_and_nothing_else(declared: Declared) -> None:
    sources = {source for source, _, _ in copies(built("dev"))}
    assert {"requirements/service.txt", "requirements/reload.txt", "service", "workbench"} <= sources
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    folders = {Path(source).parts[0] for source in sources}
    assert set(declared.only("docker_build")["only"]) == folders  # so that a save elsewhere builds nothing

    lines = (ROOT / ".dockerignore").read_text().splitlines()
    everything, *patterns = [line for line in lines if not line.startswith("#")]
    assert everything == "*"
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == folders
    assert "**/__pycache__" in patterns
    assert all(pattern.startswith(("!", "**/")) for pattern in patterns)


def test_a_save_is_copied_to_where_the_image_has_its_sources(declared: Declared) -> None:
    steps = declared.only("docker_build")["live_update"]
    assert [step.function for step in steps] == ["fall_back_on", "sync"]
    # Only a new image brings packages, and only a new pod's init container applies migrations.
    assert steps[0]["paths"] == ["requirements", "service/migrations"]
    [user] = [rest for instruction, rest in stages()["dev"] if instruction == "USER"]
    # The user of the container replaces the files, so it has to own them.
    assert (steps[1]["local_path"], steps[1]["remote_path"], [f"--chown={user}"]) in copies(stages()["dev"])


def test_the_build_arguments_of_the_dockerfile_come_from_the_environment(tilt: Run) -> None:
    names = {rest.partition("=")[0] for instruction, rest in built("dev") if instruction == "ARG"}
    given = {name: f"of {name}" for name in names - {"SERVER"}}  # SERVER is a flag
    assert given.keys() == {"PYTHON_IMAGE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"}
    declared = tilt(environment={**given, "HTTP_PROXY": "http://proxy"})

    assert declared.only("docker_build")["build_args"] == given
    assert {call["key"] for call in declared.calls if call.function == "os.getenv"} == {*given, "PIP_CERT"}


def test_the_server_is_chosen_when_the_image_is_built(tilt: Run) -> None:
    assert tilt(flags={"server": "uvicorn"}).only("docker_build")["build_args"] == {"SERVER": "uvicorn"}
    for target in ("dev", "runtime"):
        assert any(name == "ENV" and "SERVICE_SERVER=${SERVER}" in rest for name, rest in stages()[target]), target
