"""A new certificate for the gateway, a new password for Grafana: what is asked of the cluster, what is awaited."""

import json
import os
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from cluster import certificate, grafana, rotation, secrets
from cluster.kubectl import ClusterError, apply
from tests.cluster import issuing
from workbench.project import NAME


class Cluster:
    """The cluster of issuing.py, in which the old certificate is served."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / issuing.STATE
        self.folder = folder
        self.old, self.new = (self._made(name) for name in ("old", "new"))

    def _made(self, name: str) -> str:
        """Makes a certificate. Returns its serial number."""
        file = self.folder / f"{name}.crt"
        line = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        where = ("-keyout", str(self.folder / f"{name}.key"), "-out", str(file))
        subprocess.run([*line, "-subj", f"/CN={name}", *where], capture_output=True, check=True)
        return serial_of(file)

    def begin(self, *, managed: bool) -> None:
        stored = (self.folder / "old.crt").read_text()
        state = {"managed": managed, "stored": stored, "served": self.old, "next": self.new, "calls": []}
        self._state.write_text(json.dumps(state))

    def set(self, **values: object) -> None:
        self._state.write_text(json.dumps(self.state() | values))

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._state.read_text())
        return found

    def calls(self, verb: str) -> list[list[str]]:
        return [call[1:] for call in self.state()["calls"] if call[0] == verb]


def serial_of(file: Path) -> str:
    line = ("openssl", "x509", "-noout", "-serial", "-in", str(file))
    return subprocess.check_output(line, text=True).strip().partition("=")[2].lower()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    script = tmp_path / "kubectl"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S {issuing.__file__} {tmp_path} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    secrets = tmp_path / "secrets"
    for module in (certificate, grafana):
        monkeypatch.setattr(module, "FOLDER", secrets)
    monkeypatch.setattr("time.sleep", lambda _: None)  # it asks again each second
    made = Cluster(tmp_path)
    made.begin(managed=True)
    return made


def test_cert_manager_is_asked_for_a_new_one_and_each_gateway_serves_it(cluster: Cluster) -> None:
    certificate.renew(certificate.SECRET)

    [patch] = cluster.calls("patch")
    assert patch[:2] == ["certificates.cert-manager.io", f"{NAME}-tls"]
    assert "--subresource=status" in patch
    [text] = [word.removeprefix("--patch=") for word in patch if word.startswith("--patch=")]
    ready, issuing_now = json.loads(text)["status"]["conditions"]
    assert ready == {"type": "Ready", "status": "True"}
    assert (issuing_now["type"], issuing_now["status"]) == ("Issuing", "True")
    assert len(cluster.calls("exec")) == 2, "the first answer has the old certificate"


def test_a_gateway_that_keeps_the_old_one_is_an_error(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.set(next=cluster.old)
    monkeypatch.setattr(certificate, "WITHIN", 0.0)

    with pytest.raises(ClusterError, match=r"^not each gateway serves the new certificate after 0 s; the old one is"):
        certificate.renew(certificate.SECRET)


@pytest.fixture
def kept(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that keeps the development certificate, which the gateway serves. It serves what the Secret has."""
    folder = cluster.folder / "secrets"
    folder.mkdir()
    (folder / "tls.crt").write_text((cluster.folder / "old.crt").read_text())
    (folder / "tls.key").write_text((cluster.folder / "old.key").read_text())
    cluster.begin(managed=False)
    monkeypatch.setattr(certificate, "_served", lambda _: {certificate._serial()})
    return folder


def test_the_development_certificate_is_made_anew(cluster: Cluster, kept: Path) -> None:
    certificate.renew(certificate.SECRET)

    assert serial_of(kept / "tls.crt") != cluster.old
    assert_kept(cluster, kept)


def assert_kept(cluster: Cluster, folder: Path) -> None:
    """The folder has the certificate of the gateway, with its key, and nothing else of it."""
    assert cluster.state()["stored"] == (folder / "tls.crt").read_text()
    assert public_key(folder / "tls.crt") == public_key(folder / "tls.key")
    assert {file.name for file in folder.glob("tls.*")} == {"tls.crt", "tls.key"}


def public_key(file: Path) -> bytes:
    wanted = ("pkey", "-pubout") if file.name == "tls.key" else ("x509", "-noout", "-pubkey")
    return subprocess.check_output(("openssl", *wanted, "-in", str(file)))


@pytest.mark.parametrize("when", ["before it is applied", "after it is applied", "between the two files"])
def test_one_that_was_interrupted_can_be_repeated(
    cluster: Cluster, kept: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def interrupted(*items: Any) -> None:
        if when != "before it is applied":
            apply(*items)
        if when == "between the two files":
            keep_one(patch, kept)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(certificate, "apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            certificate.renew(certificate.SECRET)
    before = cluster.state()["stored"]

    certificate.renew(certificate.SECRET)

    assert cluster.state()["stored"] != before
    assert_kept(cluster, kept)


def keep_one(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """keep_certificate() as far as it comes if it is interrupted between the two files."""

    def replaced(made: Path, file: Path) -> None:
        os.replace(made, file)
        raise KeyboardInterrupt

    patch.setattr(Path, "replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        secrets.keep_certificate(folder)


def test_what_was_interrupted_between_the_two_files_is_never_applied_by_halves(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.make_certificate(kept)
    made = (kept / "tls.crt.new").read_text()
    with monkeypatch.context() as patch:
        keep_one(patch, kept)

    secrets.manifests(kept)

    assert (kept / "tls.crt").read_text() == made
    assert public_key(kept / "tls.crt") == public_key(kept / "tls.key")


def test_a_certificate_from_elsewhere_is_not_touched(cluster: Cluster) -> None:
    cluster.begin(managed=False)

    with pytest.raises(ClusterError, match=r"neither cert-manager's nor that of .*, `kubectl create secret tls"):
        certificate.renew(certificate.SECRET)

    assert cluster.calls("apply") == []


@pytest.mark.parametrize("kept", ["old", "of another cluster"])
def test_grafana_gets_a_password_and_a_new_pod(cluster: Cluster, kept: str) -> None:
    file = cluster.folder / "secrets" / "grafana-admin-password"
    file.parent.mkdir()
    file.write_text(f"{kept}\n")

    grafana.new_password(file.name)

    sent = b64decode(cluster.state()["sent"]["data"]["admin-password"]).decode()
    assert len(sent) >= 32
    assert file.read_text().strip() == (sent if kept == "old" else kept)
    assert [call[:2] for call in cluster.calls("rollout")] == [
        ["restart", "deployment/grafana"],
        ["status", "deployment/grafana"],
    ]


def test_make_rotate_knows_both() -> None:
    assert {f"{NAME}-tls", "grafana-admin-password"} <= rotation.ROTATIONS.keys()
