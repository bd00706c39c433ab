"""How apt-get is called, with a script in its place: the real one would change the machine."""

from pathlib import Path

import pytest

from tests.workbench.programs.conftest import program
from workbench.errors import StepFailed
from workbench.programs import debian

CLOSED = """echo 'Err:1 http://mirror bookworm InRelease'
echo 'W: Failed to fetch http://mirror: no route to host'
echo 'W: Some index files failed'"""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy-rc.d"
    monkeypatch.setattr(debian, "_POLICY", path)
    return path


def test_an_update_needs_one_source_that_answers(bare: Path) -> None:
    program(bare / "apt-get", CLOSED)
    with pytest.raises(StepFailed, match=r"^apt-get update: W: Failed to fetch http://mirror: no route to host$"):
        debian.update()
    program(bare / "apt-get", f"{CLOSED}; echo 'Hit:2 http://other bookworm InRelease'")
    debian.update()


def test_an_update_does_not_wait_for_sources_that_never_answer(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "ANSWER_WITHIN", 0.1)
    program(bare / "apt-get", "/bin/sleep 3600")
    with pytest.raises(StepFailed, match=r"^apt-get update: no answer within "):
        debian.update()


def test_the_size_is_the_sum_of_what_is_fetched(bare: Path) -> None:
    program(
        bare / "apt-get", "echo \"'http://m/a.deb' a.deb 1200 SHA256:0\"; echo \"'http://m/b.deb' b.deb 34 MD5Sum:0\""
    )
    assert debian.size(["a"]) == 1234


def test_no_service_starts_during_an_installation(bare: Path, tmp_path: Path, policy: Path) -> None:
    log = tmp_path / "log"
    program(bare / "apt-get", f'echo "$@" >> {log}; {policy} >> {log} 2>&1; echo "policy $?" >> {log}')
    program(bare / "systemctl", f'echo systemctl "$@" >> {log}')

    debian.install(["prometheus"])

    download, before, install, during, disable = [
        line for line in log.read_text().splitlines() if "not found" not in line
    ]
    assert "--download-only" in download
    assert "--download-only" not in install
    assert (before, during) == ("policy 127", "policy 101")
    assert disable == "systemctl disable prometheus"
    assert not policy.exists()


def test_a_policy_of_the_machine_stays(bare: Path, policy: Path) -> None:
    program(bare / "apt-get", "true")
    program(policy, "exit 0")
    debian.install(["chromium"])
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_an_error_of_apt_is_one_line(bare: Path, policy: Path) -> None:
    program(bare / "apt-get", "echo reading; echo 'E: Unable to locate package x' >&2; exit 100")
    with pytest.raises(StepFailed, match=r"^apt-get: E: Unable to locate package x$"):
        debian.install(["x"])
    assert not policy.exists()
