"""k8s/components/identity and identity-provider, and the overlays that have them or not.

What the gateway decides is tested in tests/workbench/ingress/.
"""

import re
from base64 import b64decode
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import secrets
from service.settings import Settings
from tests.k8s.kustomization import build, without_hashes
from tests.k8s.objects import containers, describe, find, of_kind, selected
from tests.k8s.project import K8S, Object, istio_install
from workbench.ingress.address import CLUSTER_URL
from workbench.project import NAME

PORT = 5556
OF_THE_COMPONENT = f"{CLUSTER_URL}/auth"
"""The issuer of identity-provider. The pages sign users in there, if no setting says otherwise."""


@pytest.fixture(scope="module")
def dex(with_users: list[Object]) -> Any:
    [config] = [item for item in of_kind(with_users, "ConfigMap") if item["metadata"]["name"].startswith("identity-")]
    return yaml.safe_load(config["data"]["dex.yaml"])


def test_users_alone_add_policies_of_the_gateway_and_one_variable_and_remove_the_limit_by_key(
    without_users: list[Object],
) -> None:
    objects = build(K8S / "components" / "identity", deepcopy(without_users))
    left = [item for item in without_users if describe(item) != "EnvoyFilter istio-system/rate-limit"]
    assert len(left) == len(without_users) - 1
    for item in objects[len(left) :]:
        assert item["kind"] in {"AuthorizationPolicy", "EnvoyFilter", "RequestAuthentication"}
        assert item["metadata"]["namespace"] == "istio-system"
        selector = item["spec"].get("workloadSelector") or {"labels": item["spec"]["selector"]["matchLabels"]}
        assert selector == {"labels": {"istio": "ingressgateway"}}
    [service] = containers(find(objects, "Deployment", NAME))[1:]
    service["env"].remove({"name": "SERVICE_IDENTITY", "value": "gateway"})
    assert objects[: len(left)] == left


def test_the_provider_adds_a_route_and_changes_nothing_else(
    without_users: list[Object], with_users: list[Object]
) -> None:
    before = without_hashes(build(K8S / "components" / "identity", deepcopy(without_users)))
    after = without_hashes(with_users)
    routes = find(after, "VirtualService", NAME)["spec"]["http"]
    names = [route["name"] for route in routes]
    assert names.index("identity") < names.index("events")
    del routes[names.index("identity")]
    known = [describe(item) for item in before]
    assert [item for item in after if describe(item) in known] == before
    assert {item["metadata"]["labels"]["app.kubernetes.io/component"] for item in after if item not in before} == {
        "identity"
    }


def test_the_gateway_fetches_the_keys_itself_by_mutual_tls(with_users: list[Object]) -> None:
    """istiod would need plain HTTP, and would not try again if the provider is ready later than the gateway."""
    assert istio_install()["values"]["pilot"]["env"]["PILOT_JWT_ENABLE_REMOTE_JWKS"] == "hybrid"
    assert [item["spec"] for item in of_kind(with_users, "PeerAuthentication")] == [{"mtls": {"mode": "STRICT"}}]
    [rule] = find(with_users, "AuthorizationPolicy", "identity")["spec"]["rules"]
    assert rule["from"] == [{"source": {"serviceAccounts": ["istio-system/istio-ingressgateway-service-account"]}}]


def test_the_gateway_expects_what_the_provider_sends(with_users: list[Object], dex: Any) -> None:
    [rule] = find(with_users, "RequestAuthentication", "users")["spec"]["jwtRules"]
    [client] = dex["staticClients"]
    assert rule["issuer"] == dex["issuer"] == OF_THE_COMPONENT
    assert CLUSTER_URL + Settings.model_fields["identity_issuer"].default == OF_THE_COMPONENT
    assert rule["audiences"] == [client["id"]] == [NAME] == [Settings.model_fields["identity_client"].default]
    service = find(with_users, "Service", "identity")
    assert rule["jwksUri"] == f"http://identity.{service['metadata']['namespace']}.svc.cluster.local/auth/keys"
    assert {to["claim"] for to in rule["outputClaimToHeaders"]} == {"sub", "email", "groups", "exp"}
    [policy] = [item for item in of_kind(with_users, "AuthorizationPolicy") if item["metadata"]["name"] == "users"]
    [allowed_principals] = [rule["from"] for rule in policy["spec"]["rules"] if "from" in rule]
    assert allowed_principals == [{"source": {"requestPrincipals": [f"{dex['issuer']}/*"]}}]
    assert dex["web"]["http"].endswith(f":{PORT}")
    assert client["public"]
    assert "secret" not in client
    assert "admin" in {role for user in dex["staticPasswords"] for role in user.get("groups", [])}


def test_each_user_has_a_password_that_is_in_no_file_of_git(
    with_users: list[Object], dex: Any, tmp_path: Path
) -> None:
    users = [user["userID"] for user in dex["staticPasswords"]]
    assert secrets.users() == users
    [made] = [item for item in secrets.manifests(tmp_path)["items"] if item["metadata"]["name"] == "identity"]
    assert [*made["data"]] == users
    assert {b64decode(value).decode() for value in made["data"].values()} == {
        (tmp_path / f"user-{user}-password").read_text().strip() for user in users
    }
    pod = find(with_users, "StatefulSet", "identity")["spec"]["template"]["spec"]
    assert {"name": "passwords", "secret": {"secretName": "identity"}} in pod["volumes"]
    [container] = pod["containers"]
    folder = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "passwords")
    for user in dex["staticPasswords"]:
        assert re.fullmatch(
            rf'\{{\{{ file\.Read "{folder}/{user["userID"]}" \| strings\.TrimSpace \| crypto\.Bcrypt \}}\}}',
            user["hash"],
        )


def test_the_key_survives_a_restart_and_does_not_change(with_users: list[Object], dex: Any) -> None:
    """The gateway asks for new keys every 5 minutes, and Dex would sign with a new one at once."""
    [item] = selected(with_users, NAME, {"app.kubernetes.io/name": "identity"})
    [claim] = item["spec"]["volumeClaimTemplates"]
    [mount] = [mount for mount in containers(item)[0]["volumeMounts"] if mount["name"] == claim["metadata"]["name"]]
    assert Path(dex["storage"]["config"]["file"]).is_relative_to(mount["mountPath"])
    assert int(dex["signer"]["config"]["keysRotationPeriod"].removesuffix("h")) > 5 * 365 * 24


def test_the_gateway_and_the_service_of_an_overlay_know_the_same_users(overlay: list[Object]) -> None:
    """Or none: the service believes nobody whom no rule of the gateway has verified."""
    verified = [rule for item in of_kind(overlay, "RequestAuthentication") for rule in item["spec"]["jwtRules"]]
    service = containers(find(overlay, "Deployment", NAME))[-1]
    settings = {entry["name"]: entry.get("value") for entry in service["env"]}
    settings = {name: value for name, value in settings.items() if name.startswith("SERVICE_IDENTITY")}

    issuers = [rule["issuer"] for rule in verified]
    admitted = [source["requestPrincipals"] for rule in rules_of_users(overlay) for source in sources(rule)]
    assert [*chain.from_iterable(admitted)] == [f"{issuer}/*" for issuer in issuers]
    if not verified:
        assert settings == {}
        return
    assert settings["SERVICE_IDENTITY"] == "gateway"
    assert settings.get("SERVICE_IDENTITY_ISSUER", OF_THE_COMPONENT) in issuers, "the pages sign users in elsewhere"


def test_the_gateway_asks_tokens_for_an_audience_and_knows_where_their_keys_are(overlay: list[Object]) -> None:
    """At some providers the audience is the client's id, and at others it is not; the keys are anywhere."""
    for rule in (rule for item in of_kind(overlay, "RequestAuthentication") for rule in item["spec"]["jwtRules"]):
        assert rule["audiences"], "tokens for other clients of the provider would be valid"
        assert rule.keys() & {"jwksUri", "jwks"}, "istiod would forget the keys when the provider does not answer"


def rules_of_users(objects: list[Object]) -> list[Object]:
    """Those of the gateway that say who reaches the API."""
    policies = [item for item in of_kind(objects, "AuthorizationPolicy") if item["metadata"]["name"] == "users"]
    return [rule for item in policies for rule in item["spec"]["rules"]]


def sources(rule: Object) -> list[Object]:
    return [entry["source"] for entry in rule.get("from", [])]


def test_only_a_provider_behind_the_ingress_is_reached_without_a_token(overlay: list[Object]) -> None:
    everybody = [to["operation"] for rule in rules_of_users(overlay) if not sources(rule) for to in rule["to"]]
    open_to_all = {path for operation in everybody for path in operation["paths"]}
    routes = {route["name"] for route in find(overlay, "VirtualService", NAME)["spec"]["http"]}

    assert ("/auth/*" in open_to_all) is ("identity" in routes)
    others = [operation for operation in everybody if "/auth/*" not in operation["paths"]]
    assert all(operation["methods"] == ["GET", "HEAD"] for operation in others)
