"""The Secrets of the local cluster: created once, kept, complete, and readable by their owner only."""

import json
import os
import stat
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from cluster.kubectl import ClusterError
from cluster.secrets import GRAFANA_PASSWORD, OF_ROLES, PASSWORDS, manifests, users
from tests.git import needs_git
from tests.k8s.kustomization import build
from tests.k8s.objects import containers, find, pod_spec
from tests.k8s.project import K8S, ROOT, Object
from workbench.project import NAME

CERTIFICATE = f"{NAME}-tls"  # the Secret


def data(folder: Path, name: str) -> dict[str, str]:
    [secret] = [item for item in manifests(folder)["items"] if item["metadata"]["name"] == name]
    return {key: b64decode(value).decode() for key, value in secret["data"].items()}


def openssl(*arguments: str) -> str:
    return subprocess.run(("openssl", *arguments), capture_output=True, text=True, check=True).stdout


def test_secrets_are_created_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    first = manifests(folder)

    assert manifests(folder) == first
    assert manifests(tmp_path / "others") != first


def test_no_two_passwords_are_equal(tmp_path: Path) -> None:
    passwords = data(tmp_path, "database")

    assert tuple(passwords) == PASSWORDS
    assert len(set(passwords.values())) == len(PASSWORDS)
    assert all(len(password) >= 32 for password in passwords.values())


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    manifests(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        if file.suffix != ".crt":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_the_certificate_is_for_the_names_of_this_machine(tmp_path: Path) -> None:
    data(tmp_path, CERTIFICATE)

    for host in ("localhost", f"{NAME}.localhost"):
        text = openssl("x509", "-noout", "-checkhost", host, "-in", str(tmp_path / "tls.crt"))
        assert "does match" in text


def test_a_certificate_that_expires_soon_is_renewed(tmp_path: Path) -> None:
    before = data(tmp_path, CERTIFICATE)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20", "-subj", "/CN=soon"),
        *("-out", str(certificate), "-keyout", str(key)),
    )

    after = data(tmp_path, CERTIFICATE)

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


def test_production_has_nothing_that_is_for_development(tmp_path: Path) -> None:
    """The certificate of cert-manager would be replaced by the development certificate, until it is issued again."""

    def names(*, production: bool) -> set[str]:
        return {item["metadata"]["name"] for item in manifests(tmp_path, production=production)["items"]}

    in_production = names(production=True)
    files = {file.name for file in tmp_path.iterdir()}

    assert names(production=False) - in_production == {CERTIFICATE, "identity"}
    assert {file.name for file in tmp_path.iterdir()} - files == {
        *("tls.crt", "tls.key"),
        *(f"user-{name}-password" for name in users()),
    }


def test_another_cluster_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "production"
    environment = os.environ | {"SECRETS": str(folder)}

    printed = subprocess.check_output((sys.executable, "-m", "cluster.secrets"), cwd=ROOT, env=environment)

    assert json.loads(printed) == manifests(folder)
    assert [stat.S_IMODE(made.stat().st_mode) for made in (folder.parent, folder)] == [0o700, 0o700]


@needs_git
def test_git_ignores_the_files() -> None:
    for file in (".secrets/app-rw-password", ".secrets/production/tls.key", "tilt_config.json"):
        subprocess.run(("git", "check-ignore", "--quiet", file), cwd=ROOT, check=True)


def references(objects: list[Object]) -> set[tuple[str, str]]:
    """The Secrets and keys that pods refer to: in variables, and in volumes that need them."""
    env = [entry for item in objects for container in containers(item) for entry in container.get("env", [])]
    found = {(of["name"], of["key"]) for entry in env if (of := entry.get("valueFrom", {}).get("secretKeyRef"))}
    for volume in (volume for item in objects for volume in (pod_spec(item) or {}).get("volumes", [])):
        for secret in (source.get("secret", {}) for source in volume.get("projected", {}).get("sources", [])):
            if not secret.get("optional"):
                found |= {(secret["name"], item["key"]) for item in secret.get("items", [])}
    return found


def test_every_key_that_a_pod_refers_to_is_created(overlay: list[Object], tmp_path: Path) -> None:
    created = {(secret["metadata"]["name"], key) for secret in manifests(tmp_path)["items"] for key in secret["data"]}
    servers = find(overlay, "Gateway", NAME)["spec"]["servers"]
    certificates = {server["tls"]["credentialName"] for server in servers if server["port"]["number"] == 443}

    assert references(overlay)
    assert references(overlay) <= created
    assert certificates == {CERTIFICATE}


def test_each_password_has_a_user(dev: list[Object]) -> None:
    assert {key for _, key in references(dev)} == {*PASSWORDS, GRAFANA_PASSWORD}


def test_cloudnativepg_gets_the_same_password_of_each_role(tmp_path: Path) -> None:
    """From a Secret of the role, which it has to watch."""
    database = data(tmp_path, "database")
    secrets = {secret["metadata"]["name"]: secret for secret in manifests(tmp_path)["items"]}
    cluster = find(build(K8S / "components" / "postgres-ha", build(K8S / "base")), "Cluster", "postgres")["spec"]
    named = {role["name"]: role["passwordSecret"]["name"] for role in cluster["managed"]["roles"]}

    assert named.keys() == OF_ROLES.keys()
    assert cluster["bootstrap"]["initdb"]["secret"]["name"] == named[cluster["bootstrap"]["initdb"]["owner"]]
    for role, name in named.items():
        assert data(tmp_path, name) == {"username": role, "password": database[OF_ROLES[role]]}
        assert secrets[name]["type"] == "kubernetes.io/basic-auth"
        assert secrets[name]["metadata"]["labels"]["cnpg.io/reload"] == "true"
