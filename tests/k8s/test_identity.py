"""k8s/components/identity and identity-provider. What the gateway decides is tested in tests/workbench/ingress/."""

import re
from base64 import b64decode
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cluster import secrets
from tests.k8s import references, rules
from tests.k8s.kustomization import build, build_with, real_command, without_hashes
from tests.k8s.objects import containers, describe, find, of_kind, selected
from tests.k8s.project import K8S, Object, istio_install
from tests.k8s.schemas import check_istio, kubernetes_version
from tests.k8s.test_flows import allowed
from workbench.project import NAME

OVERLAY = K8S / "overlays" / "dev-identity"
PORT = 5556


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return build(OVERLAY)


@pytest.fixture(scope="module")
def dex(objects: list[Object]) -> Any:
    [config] = [item for item in of_kind(objects, "ConfigMap") if item["metadata"]["name"].startswith("identity-")]
    return yaml.safe_load(config["data"]["dex.yaml"])


def test_users_alone_add_policies_of_the_gateway_and_one_variable(dev: list[Object]) -> None:
    objects = build(K8S / "components" / "identity", deepcopy(dev))
    for item in objects[len(dev) :]:
        assert item["kind"] in {"AuthorizationPolicy", "EnvoyFilter", "RequestAuthentication"}
        assert item["metadata"]["namespace"] == "istio-system"
        selector = item["spec"].get("workloadSelector") or {"labels": item["spec"]["selector"]["matchLabels"]}
        assert selector == {"labels": {"istio": "ingressgateway"}}
    [service] = containers(find(objects, "Deployment", NAME))[1:]
    service["env"].remove({"name": "SERVICE_IDENTITY", "value": "gateway"})
    assert objects[: len(dev)] == dev


def test_the_provider_adds_a_route_and_changes_nothing_else(dev: list[Object], objects: list[Object]) -> None:
    before = without_hashes(build(K8S / "components" / "identity", deepcopy(dev)))
    after = without_hashes(objects)
    routes = find(after, "VirtualService", NAME)["spec"]["http"]
    assert [route["name"] for route in routes[:4]] == ["curl-is-throttled", "websockets", "identity", "events"]
    del routes[2]
    known = [describe(item) for item in before]
    assert [item for item in after if describe(item) in known] == before
    assert {item["metadata"]["labels"]["app.kubernetes.io/component"] for item in after if item not in before} == {
        "identity"
    }


@pytest.mark.parametrize(
    "check", [*references.CHECKS, *rules.CHECKS, rules.root_is_read_only], ids=lambda check: check.__name__
)
def test_its_objects_pass_the_checks(objects: list[Object], check: references.Check) -> None:
    assert [error for error in check(objects) if f"Deployment {NAME}/{NAME}:" not in error] == []


def test_its_objects_are_valid(objects: list[Object], istio_schemas: dict[tuple[str, str], Object]) -> None:
    for item in objects:
        if ".istio.io/" in item["apiVersion"]:
            check_istio(item, istio_schemas)
        else:
            kubernetes_validate.validate(item, kubernetes_version(), strict=True)


def test_only_the_gateway_reaches_the_provider_and_it_reaches_nobody(
    objects: list[Object], dev: list[Object]
) -> None:
    of_all_sidecars = {("identity", "dns", 53), ("identity", "istiod", 15012), ("prometheus", "identity", 15020)}
    assert allowed(objects, PORT) - allowed(dev, PORT) - of_all_sidecars == {("gateway", "identity", PORT)}


def test_the_gateway_fetches_the_keys_itself_by_mutual_tls(objects: list[Object]) -> None:
    """istiod would need plain HTTP, and would not try again if the provider is ready later than the gateway."""
    assert istio_install()["values"]["pilot"]["env"]["PILOT_JWT_ENABLE_REMOTE_JWKS"] == "hybrid"
    assert [item["spec"] for item in of_kind(objects, "PeerAuthentication")] == [{"mtls": {"mode": "STRICT"}}]
    [rule] = find(objects, "AuthorizationPolicy", "identity")["spec"]["rules"]
    assert rule["from"] == [{"source": {"serviceAccounts": ["istio-system/istio-ingressgateway-service-account"]}}]


def test_the_gateway_expects_what_the_provider_sends(objects: list[Object], dex: Any) -> None:
    [rule] = find(objects, "RequestAuthentication", "users")["spec"]["jwtRules"]
    [client] = dex["staticClients"]
    assert rule["issuer"] == dex["issuer"]
    assert rule["audiences"] == [client["id"]] == [NAME]
    service = find(objects, "Service", "identity")
    assert rule["jwksUri"] == f"http://identity.{service['metadata']['namespace']}.svc.cluster.local/auth/keys"
    assert {to["claim"] for to in rule["outputClaimToHeaders"]} == {"sub", "email", "groups"}
    [policy] = [item for item in of_kind(objects, "AuthorizationPolicy") if item["metadata"]["name"] == "users"]
    [allowed_principals] = [rule["from"] for rule in policy["spec"]["rules"] if "from" in rule]
    assert allowed_principals == [{"source": {"requestPrincipals": [f"{dex['issuer']}/*"]}}]
    assert dex["web"]["http"].endswith(f":{PORT}")
    assert client["public"]
    assert "secret" not in client
    assert "admin" in {role for user in dex["staticPasswords"] for role in user.get("groups", [])}


def test_each_user_has_a_password_that_is_in_no_file_of_git(objects: list[Object], dex: Any, tmp_path: Path) -> None:
    users = [user["userID"] for user in dex["staticPasswords"]]
    assert secrets.users() == users
    [made] = [item for item in secrets.manifests(tmp_path)["items"] if item["metadata"]["name"] == "identity"]
    assert [*made["data"]] == users
    assert {b64decode(value).decode() for value in made["data"].values()} == {
        (tmp_path / f"user-{user}-password").read_text().strip() for user in users
    }
    pod = find(objects, "StatefulSet", "identity")["spec"]["template"]["spec"]
    assert {"name": "passwords", "secret": {"secretName": "identity"}} in pod["volumes"]
    [container] = pod["containers"]
    folder = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "passwords")
    for user in dex["staticPasswords"]:
        assert re.fullmatch(
            rf'\{{\{{ file\.Read "{folder}/{user["userID"]}" \| strings\.TrimSpace \| crypto\.Bcrypt \}}\}}',
            user["hash"],
        )


def test_the_key_survives_a_restart_and_does_not_change(objects: list[Object], dex: Any) -> None:
    """The gateway asks for new keys every 5 minutes, and Dex would sign with a new one at once."""
    [item] = selected(objects, NAME, {"app.kubernetes.io/name": "identity"})
    [claim] = item["spec"]["volumeClaimTemplates"]
    [mount] = [mount for mount in containers(item)[0]["volumeMounts"] if mount["name"] == claim["metadata"]["name"]]
    assert Path(dex["storage"]["config"]["file"]).is_relative_to(mount["mountPath"])
    assert int(dex["signer"]["config"]["keysRotationPeriod"].removesuffix("h")) > 5 * 365 * 24


@pytest.mark.skipif(real_command() is None, reason="neither kubectl nor kustomize is installed")
def test_kustomize_builds_the_same(objects: list[Object]) -> None:
    command = real_command()
    assert command
    assert without_hashes(objects) == without_hashes(build_with(command, OVERLAY))
