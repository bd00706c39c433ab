"""The commands, paths and links of the Tiltfile lead somewhere, and so do its buttons."""

import inspect
import os
import re
import subprocess
import sys
from urllib.parse import urlsplit
from xml.etree import ElementTree

from cluster import actions
from tests.k8s.project import ROOT, cluster_file
from tests.k8s.tiltfile.api import as_list
from tests.k8s.tiltfile.declared import Declared
from workbench.machine.passwords import LOCAL


def test_every_command_exists(declared: Declared) -> None:
    makefile = (ROOT / "Makefile").read_text()
    ingress = declared.resources["istio-ingressgateway"]["links"][0]["url"]
    for command in declared.commands:
        match command:
            case ["make", target, *variables]:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
                assert variables in ([], [f"INGRESS_URL={ingress}"])
            case ["python3", "-m", "cluster.actions", action]:
                assert action in actions.ACTIONS
            case ["python3", "-m", "cluster.backups", action]:
                assert re.search(rf"cluster\.backups \(.*\b{action}\b.*\)", (ROOT / "cluster/backups.py").read_text())
            case ["python3", "-m", "cluster.secrets" | "cluster.leftovers"]:
                pass
            case ["istioctl" | "sh", *_] | ["kubectl", "get", *_]:
                pass
            case _:
                raise AssertionError(f"unknown command: {command}")
    assert declared.only("watch_file")["file_path"] == "k8s/istio/install.yaml"  # which istioctl reads


def test_the_commands_know_no_variables_of_another_cluster(declared: Declared) -> None:
    removed = [call["key"] for call in declared.calls if call.function == "os.unsetenv"]
    written = {call["key"]: call["value"] for call in declared.calls if call.function == "os.putenv"}

    assert removed == ["PYTHONSAFEPATH"]
    assert {key: ROOT / value for key, value in written.items()} == {"SECRETS": LOCAL}


def test_with_an_ingress_url_make_test_runs_the_ingress_tests_of_all_domains() -> None:
    dry_run = ["make", "--dry-run", "test", "INGRESS_URL=http://localhost:8080"]
    [command] = [line for line in output(*dry_run).replace("\\\n", " ").splitlines() if " -m pytest " in line]

    folders = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("**/ingress") if path.is_dir()}
    chosen = {word for word in command.split() if word.startswith("tests/")}
    assert chosen == folders - {"tests/workbench/ingress"}


def output(*command: str) -> str:
    """Without the variables of the `make test` that may run this test."""
    env = {name: value for name, value in os.environ.items() if name != "ARGS" and not name.startswith("MAKE")}
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout


def test_python_commands_need_no_packages(declared: Declared) -> None:
    """They run with the system's python3, which has none of the project's packages."""
    modules = sorted({command[2] for command in declared.commands if command[:2] == ["python3", "-m"]})
    assert len(modules) == 4

    without_packages = [sys.executable, "-S", "-E", "-c", f"import {', '.join(modules)}"]
    subprocess.run(without_packages, cwd=ROOT, check=True)


def test_links_lead_to_ports_of_the_cluster_or_to_forwarded_ones(declared: Declared) -> None:
    resources = declared.resources.values()
    links = [(urlsplit(link["url"]), link["name"]) for resource in resources for link in resource["links"]]
    ports = {entry["port"].split(":")[1] for entry in cluster_file()[1]["k3d"]["v1alpha5Simple"]["ports"]}
    # A forwarded port has the same number on both sides, as the Service of its workload has it.
    ports |= {port for one in resources for forward in as_list(one["port_forwards"]) for port in forward.split(":")}

    assert {str(url.port) for url, _ in links} == ports
    for url, name in links:
        assert (url.scheme, url.hostname) == ("https" if url.port == 8443 else "http", "localhost")
        assert name, url


def test_a_button_runs_its_command_in_the_project(declared: Declared) -> None:
    buttons, commands = declared.of("v1alpha1.ui_button"), declared.of("v1alpha1.cmd")
    assert buttons.keys() == commands.keys() == {"restart-replica", "psql", "reset-data", "backup"}
    for name, button in buttons.items():
        assert commands[name]["start_on"]["ui_buttons"] == [name]
        assert commands[name]["dir"] == str(ROOT)
        # Tilt shows a button, and the log of its command, only where all of these name the same resource.
        resource = button["location"]["component_id"]
        assert button["location"]["component_type"] == "Resource"
        assert resource in declared.resources
        assert button["annotations"]["tilt.dev/resource"] == resource
        assert commands[name]["annotations"]["tilt.dev/resource"] == resource
        assert button["text"]
        assert ElementTree.fromstring(button["icon_svg"]).tag == "svg"  # noqa: S314 - written in this project
        deletes = any(word.startswith("delete-") for word in commands[name]["args"])
        assert button["requires_confirmation"] is deletes, name


def test_every_action_has_a_button_with_the_inputs_that_it_reads(declared: Declared) -> None:
    found = {}
    for name, command in declared.of("v1alpha1.cmd").items():
        if command["args"][2] == "cluster.actions":
            inputs = declared.of("v1alpha1.ui_button")[name]["inputs"]
            found[command["args"][3]] = {entry["name"] for entry in inputs}
            for entry in inputs:
                assert entry["text"]["default_value"].startswith("SELECT ")  # a click on it changes nothing
    reads = {name: inspect.getsource(action) for name, action in actions.ACTIONS.items()}
    assert found == {name: set(re.findall(r'os\.environ\.get\("(\w+)"', text)) for name, text in reads.items()}
