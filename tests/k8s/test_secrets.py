"""The Secrets of the local cluster: made once, kept, and readable by their owner only."""

import stat
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
import yaml

from cluster.kubectl import ClusterError
from cluster.secrets import PASSWORDS, manifests
from tests.k8s.kustomization import ROOT


def data(folder: Path, name: str) -> dict[str, str]:
    [secret] = [item for item in manifests(folder)["items"] if item["metadata"]["name"] == name]
    return {key: b64decode(value).decode() for key, value in secret["data"].items()}


def openssl(*arguments: str) -> str:
    return subprocess.run(("openssl", *arguments), capture_output=True, text=True, check=True).stdout


def test_they_stay_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    first = manifests(folder)

    assert manifests(folder) == first
    assert manifests(tmp_path / "others") != first


def test_each_password_is_another_one(tmp_path: Path) -> None:
    passwords = data(tmp_path, "database")

    assert tuple(passwords) == PASSWORDS
    assert len(set(passwords.values())) == len(PASSWORDS)
    assert all(len(password) >= 32 for password in passwords.values())


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    manifests(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        if file.suffix != ".crt":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_the_certificate_is_for_the_hosts_of_the_gateway(tmp_path: Path) -> None:
    data(tmp_path, "slipway-tls")
    gateway = yaml.safe_load((ROOT / "k8s" / "istio" / "gateway.yaml").read_text())
    [hosts] = [server["hosts"] for server in gateway["spec"]["servers"] if server["port"]["protocol"] == "HTTPS"]

    for host in hosts:
        text = openssl("x509", "-noout", "-checkhost", host, "-in", str(tmp_path / "tls.crt"))
        assert "does match" in text


def test_a_certificate_that_ends_soon_is_made_anew(tmp_path: Path) -> None:
    before = data(tmp_path, "slipway-tls")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20", "-subj", "/CN=soon"),
        *("-out", str(certificate), "-keyout", str(key)),
    )

    after = data(tmp_path, "slipway-tls")

    assert after["tls.crt"] not in {before["tls.crt"], ""}
    openssl("x509", "-checkend", str(300 * 24 * 3600), "-noout", "-in", str(certificate))
    assert openssl("pkey", "-pubout", "-in", str(key)) == openssl(
        "x509", "-pubkey", "-noout", "-in", str(certificate)
    )


def test_an_empty_password_is_an_error(tmp_path: Path) -> None:
    manifests(tmp_path)
    (tmp_path / "app-rw-password").write_text("\n")

    with pytest.raises(ClusterError, match="app-rw-password is empty"):
        manifests(tmp_path)


def test_git_ignores_them() -> None:
    for file in (".secrets/app-rw-password", ".secrets/tls.key", "tilt_config.json"):
        subprocess.run(("git", "check-ignore", "--quiet", file), cwd=ROOT, check=True)
