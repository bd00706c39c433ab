"""An address that does not answer is known after seconds, and the reason is one line."""

import socket
from pathlib import Path

import pytest

from workbench.errors import StepFailed
from workbench.programs import network


def test_the_size_is_asked_before_anything_is_fetched(files: Path, host: str) -> None:
    (files / "archive").write_bytes(b"12345")
    answers = network.probe([f"{host}/archive", f"{host}/none"])
    assert answers[f"{host}/archive"] == network.Probe(size=5)
    assert answers[f"{host}/none"].problem == f"{host.removeprefix('http://')}: HTTP 404"
    assert network.first_reachable([f"{host}/none", f"{host}/archive"], answers).size == 5


def test_a_host_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "ANSWER_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        name = f"127.0.0.1:{listener.getsockname()[1]}"
        answers = network.probe([f"http://{name}/"])
        with pytest.raises(StepFailed, match=rf"^{name}: no answer within "):
            network.first_reachable([f"http://{name}/"], answers)
        connection, _ = listener.accept()
        connection.close()  # ends the thread that still waits
