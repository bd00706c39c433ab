"""Commands, buttons and links."""

import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from cluster import actions
from tests.k8s.kustomization import ROOT
from tests.k8s.tiltfile.declared import Declared, Link, commands
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from tests.k8s.tiltfile.project_files import cluster_file


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
