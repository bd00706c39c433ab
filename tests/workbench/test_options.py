"""The variables of `make dev`, the .env file, and the checks of ports."""

import errno
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from workbench.errors import PortTaken, UsageError
from workbench.machine import ports
from workbench.machine.env_file import read_env_file
from workbench.machine.folders import IDENTITY, IDENTITY_PROVIDER, MANIFESTS, ROOT
from workbench.options import from_environment, users_by_default
from workbench.programs import prometheus


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INGRESS_PORT", "http"),
        ("API_PORT", "65536"),
        ("OPS_PORT", "-1"),
        ("REPLICAS", "0"),
        ("REPLICAS", "1.5"),
        ("REPLICAS", "²"),
    ],
)
def test_an_invalid_number(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{name}={value} is not a number from"):
        from_environment({name: value}, tmp_path / ".env")


def test_an_empty_variable_has_the_default(tmp_path: Path) -> None:
    options = from_environment({"INGRESS_PORT": "", "DATA": ""}, tmp_path / ".env")
    assert options.ingress_port == 8080
    assert options.data == Path.cwd() / ".workbench"


def test_one_variable_says_whether_there_are_users(tmp_path: Path) -> None:
    options = from_environment({"IDENTITY": "no"}, tmp_path / ".env")
    assert (options.components, options.provider, options.settings) == ((), None, {})
    options = from_environment({"IDENTITY": "yes"}, tmp_path / ".env")
    assert options.components == (IDENTITY, IDENTITY_PROVIDER)
    assert options.provider == IDENTITY_PROVIDER
    assert options.settings == {"SERVICE_IDENTITY": "gateway"}
    for unset in ({}, {"IDENTITY": ""}):
        assert (from_environment(unset, tmp_path / ".env").provider is not None) == users_by_default()


@pytest.mark.parametrize(
    ("components", "users"),
    [
        ("components: [../../k8s/components/identity, ../other]", True),
        ("components: [../other]", False),
        ("components:", False),
        ("kind: Kustomization", False),
        ("", False),
    ],
)
def test_there_are_users_if_the_overlay_of_the_cluster_has_them(tmp_path: Path, components: str, users: bool) -> None:
    (tmp_path / "k8s").symlink_to(MANIFESTS)
    overlay = tmp_path / "overlays" / "dev"
    overlay.mkdir(parents=True)
    (overlay / "kustomization.yaml").write_text(components)

    assert users_by_default(overlay) == users


def test_an_overlay_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("components: [\n")
    with pytest.raises(UsageError, match=r"kustomization\.yaml: line 2: .*: it says whether there are users"):
        users_by_default(tmp_path)


@pytest.mark.parametrize("value", ["on", "YES", "true", "1"])
def test_another_value_of_identity_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^IDENTITY={value} is neither yes nor no$"):
        from_environment({"IDENTITY": value}, tmp_path / ".env")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\n\nSERVICE_POOL_SIZE=5\nSERVICE_LOG_LEVEL=debug\n")
    options = from_environment({"SERVICE_LOG_LEVEL": "error", "HOME": "/", "IDENTITY": "no"}, file)
    assert options.settings == {"SERVICE_POOL_SIZE": "5", "SERVICE_LOG_LEVEL": "error"}


def test_prometheus_runs_if_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(prometheus, "BROUGHT", tmp_path / "brought")

    def chosen(**variables: str) -> str | None:
        return from_environment(variables, tmp_path / ".env").prometheus

    assert chosen() is None
    program = tmp_path / "prometheus"
    program.touch(mode=0o755)
    assert chosen() == chosen(PROMETHEUS="yes") == chosen(PROMETHEUS=str(program)) == str(program)
    assert chosen(PROMETHEUS="no") is None
    with pytest.raises(UsageError, match=r"^PROMETHEUS=/nowhere is not a program"):
        chosen(PROMETHEUS="/nowhere")


def test_traces_sets_opentelemetrys_exporter(tmp_path: Path) -> None:
    variables = {"TRACES": "console", "OTEL_TRACES_SAMPLER": "always_off", "IDENTITY": "no"}
    options = from_environment(variables, tmp_path / ".env")

    assert options.settings == {"OTEL_TRACES_EXPORTER": "console", "OTEL_TRACES_SAMPLER": "always_off"}
    with pytest.raises(UsageError, match=r"^TRACES=yes is not valid: use console, otlp or none$"):
        from_environment({"TRACES": "yes"}, tmp_path / ".env")


def test_debugging(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert not from_environment({}, file).debug
    options = from_environment({"DEBUG": "yes"}, file)
    assert options.debug
    launch = json.loads((ROOT / ".vscode/launch.json").read_text())
    assert {one["connect"]["port"] for one in launch["configurations"]} == {options.debug_port}
    with pytest.raises(UsageError, match=r"^DEBUG=on is neither yes nor no$"):
        from_environment({"DEBUG": "on"}, file)


def test_a_database_for_each_branch(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert not from_environment({}, file).branch_databases
    assert from_environment({"BRANCH_DATABASES": "yes"}, file).branch_databases
    with pytest.raises(UsageError, match=r"^BRANCH_DATABASES=yes follows your checkout, and STABLE=main does not: "):
        from_environment({"BRANCH_DATABASES": "yes", "STABLE": "main"}, file)


@pytest.mark.parametrize("line", ["SERVICE_POOL_SIZE", "POOL_SIZE=5", "export SERVICE_POOL_SIZE=5", "SERVICE_A-B=1"])
def test_an_invalid_line_of_the_file(line: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"SERVICE_NAME=x\n{line}\n")
    with pytest.raises(UsageError, match=r"^\.env, line 2: expected SERVICE_NAME=value, found "):
        read_env_file(file)


@pytest.mark.parametrize("address", ports.loopbacks())
def test_a_port_in_use_is_refused_with_its_process_and_variable(address: str) -> None:
    with socket.create_server((address, 0), family=ports.FAMILIES[address]) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken) as refused:
            ports.check({"API_PORT": 0, "OPS_PORT": port})
    message = str(refused.value)
    assert message.startswith(f"port {port} is in use by process ")
    assert f"process {os.getpid()}" in message
    assert "make dev OPS_PORT=" in message


def test_a_port_in_use_on_all_addresses_is_refused() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - as Docker binds ports
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken):
            ports.check({"INGRESS_PORT": port})


def test_a_closed_connection_does_not_block_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        client = socket.create_connection(address)
        served, _ = listener.accept()
        served.close()  # so that this side is in TIME_WAIT
        client.close()
    ports.check({"INGRESS_PORT": address[1]})


def test_one_port_for_two_variables() -> None:
    with pytest.raises(UsageError, match="API_PORT and OPS_PORT are both 8000"):
        ports.check({"API_PORT": 8000, "OPS_PORT": 8000})


def test_free_ports_are_free_and_different() -> None:
    free = ports.free(20)
    assert len(set(free)) == 20
    for port in free:
        with socket.socket() as listener:
            assert listener.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_no_process_is_given_the_free_ports_of_another() -> None:
    """Whatever random choice they make: of 12,000 ports, each of two processes gets 2,000."""
    script = "import sys; from workbench.machine import ports; print(*ports.free(2000), flush=True); sys.stdin.read()"
    with ExitStack() as both:
        processes = [
            both.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(2)
        ]
        first, second = (set(process.stdout.readline().split()) for process in processes if process.stdout)
        assert (len(first), len(second)) == (2000, 2000)
        assert not first & second
