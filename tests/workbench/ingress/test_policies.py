"""AuthorizationPolicies and RequestAuthentications that a person may write: what they mean, on a real Envoy."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
import yaml

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.decisions import Address, Request, bearer, decision, tell
from tests.workbench.ingress.gateway import Gateway, StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.tokens import EC, RSA, Key, key_set, token
from tests.workbench.ingress.translation import (
    AUTHORIZATION_POLICY,
    KUSTOMIZATION,
    REQUEST_AUTHENTICATION,
    connection_manager,
)

ISSUER = "https://issuer.example"
OTHER = "https://other.example/users"

Spec = Mapping[str, Any]
Start = Callable[..., Awaitable[Gateway]]


def user(key: Key = EC, **claims: Any) -> str:
    return token(key, **{"iss": ISSUER, "aud": "web", "roles": None, "email": None, **claims})


@pytest.fixture
def start(start_gateway: StartGateway, edited_rules: EditRules) -> Start:
    """Starts a gateway with these AuthorizationPolicies, and with rules for tokens, by the keys of the tests."""

    async def start(*specs: Spec, jwt_rules: Sequence[Spec] = ({},)) -> Gateway:
        names = [f"policy-{index}.yaml" for index in range(len(specs))]
        listed = "\n  ".join(f"- {name}" for name in names)
        rules = edited_rules((KUSTOMIZATION, f"- {AUTHORIZATION_POLICY}", listed))
        policy = yaml.safe_load((rules / AUTHORIZATION_POLICY).read_text())
        for name, spec in zip(names, specs, strict=True):
            changed = {**policy, "metadata": {**policy["metadata"], "name": name}, "spec": spec}
            (rules / name).write_text(yaml.safe_dump(changed))
        tokens = yaml.safe_load((rules / REQUEST_AUTHENTICATION).read_text())
        valid = {"issuer": ISSUER, "audiences": ["web"], "jwks": key_set(EC)}
        tokens["spec"]["jwtRules"] = [{**valid, **rule} for rule in jwt_rules]
        (rules / REQUEST_AUTHENTICATION).write_text(yaml.safe_dump(tokens))
        return await start_gateway(StubReplica(tell), rules=rules)

    return start


async def ask(gateway: Gateway, *tokens: str, target: str = "/", method: str = "GET", **headers: str) -> object:
    """The status of a refusal, or what the service gets in the headers of the user."""
    sent = [bearer(value) for value in tokens] + [(name.replace("_", "-"), value) for name, value in headers.items()]
    found = await decision(Address(gateway.port), Request("", 0, target, method, sent))
    return found if isinstance(found, int) else found[1]


async def test_an_allow_policy_refuses_what_it_does_not_match(start: Start) -> None:
    operations = [
        {"methods": ["GET", "P*"], "paths": ["/a", "/b/*", "*.txt"], "notPaths": ["/b/c*"]},
        {"hosts": ["*.Example"], "notMethods": ["DELETE"]},
    ]
    spec = {"rules": [{"to": [{"operation": operation} for operation in operations]}]}
    gateway = await start(spec)
    for target in ("/a", "/a?b", "/b/", "/b/d/e", "/c.txt"):
        assert await ask(gateway, target=target) == {}, target
    for target in ("/", "/a/", "/A", "/b", "/b/c", "/b/cd", "/b/c.txt", "/c.txts"):
        assert await ask(gateway, target=target) == 403, target
    assert [await ask(gateway, target="/a", method=method) for method in ("POST", "HEAD", "DELETE")] == [{}, 403, 403]
    hosts = {"a.example": {}, "A.EXAMPLE": {}, "example": 403, "a.example.org": 403}
    for host, expected in hosts.items():
        found = await gateway.client.get("/", headers={"host": host})
        assert found.status_code == (expected or 200), host


async def test_a_deny_policy_comes_before_an_allow_policy(start: Start) -> None:
    deny = {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/private/*"]}}]}]}
    gateway = await start({"rules": [{}]}, deny)
    assert await ask(gateway, target="/public") == {}
    assert await ask(gateway, user(), target="/private/a") == 403


async def test_a_policy_without_rules_allows_nothing(start: Start) -> None:
    gateway = await start({})
    assert await ask(gateway) == 403
    assert await ask(gateway, user()) == 403


async def test_the_rules_of_all_allow_policies_are_alternatives(start: Start) -> None:
    specs = [{"rules": [{"to": [{"operation": {"paths": [path]}}]}]} for path in ("/a", "/b")]
    gateway = await start(*specs)
    assert [await ask(gateway, target=target) for target in ("/a", "/b", "/c")] == [{}, {}, 403]


async def test_principals_are_an_issuer_and_a_subject(start: Start) -> None:
    wanted = [f"{ISSUER}/ada", f"{ISSUER}/team-*", "*/eve", "*-bot", f"{OTHER}/*"]
    source = {"requestPrincipals": wanted, "notRequestPrincipals": [f"{OTHER}/eve"]}
    jwt_rules = [{}, {"issuer": OTHER}]
    gateway = await start({"rules": [{"from": [{"source": source}]}]}, jwt_rules=jwt_rules)
    for subject, passes in {
        "ada": True,
        "adam": False,
        "team-a": True,
        "eve": True,
        "a-bot": True,
        "b": False,
    }.items():
        assert await ask(gateway, user(sub=subject)) == ({} if passes else 403), subject
    assert await ask(gateway, user(iss=OTHER, sub="b")) == {}
    assert await ask(gateway, user(iss=OTHER, sub="eve")) == 403
    assert await ask(gateway) == 403


async def test_any_principal_is_one_with_an_issuer_and_a_subject(start: Start) -> None:
    spec = {"rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]}
    gateway = await start(spec)
    assert [await ask(gateway, user()), await ask(gateway, user(sub=None)), await ask(gateway)] == [{}, 403, 403]


async def test_conditions_compare_claims(start: Start) -> None:
    conditions = [
        {"key": "request.auth.claims[roles]", "values": ["admin", "ops-*"], "notValues": ["guest"]},
        {"key": "request.auth.claims[org][team]", "values": ["a"]},
        {"key": "request.auth.audiences", "values": ["web"]},
        {"key": "request.auth.presenter", "notValues": ["evil"]},
        {"key": "request.auth.principal", "values": [f"{ISSUER}/*"]},
        {"key": "request.headers[x-version]", "values": ["1", "2*"], "notValues": ["29"]},
    ]
    jwt_rules = [{"spaceDelimitedClaims": ["roles"]}]
    gateway = await start({"rules": [{"when": conditions}]}, jwt_rules=jwt_rules)
    valid: dict[str, Any] = {"roles": "admin", "org": {"team": "a"}}
    allowed: list[dict[str, Any]] = [
        {},
        {"roles": "editor admin"},
        {"roles": ["editor", "ops-a"]},
        {"org": {"team": ["b", "a"]}},
        {"azp": "app"},
        {"aud": ["web", "other"]},
    ]
    refused: list[dict[str, Any]] = [
        {"roles": "administrator"},
        {"roles": "admin,editor"},
        {"roles": "admin guest"},
        {"roles": None},
        {"org": {"team": "b"}},
        {"org": "a"},
        {"azp": "evil"},
    ]
    for claims in allowed:
        assert await ask(gateway, user(**valid | claims), x_version="1") == {}, claims
    for claims in refused:
        assert await ask(gateway, user(**valid | claims), x_version="1") == 403, claims
    versions = {"2": {}, "28": {}, "29": 403, "3": 403, "11": 403}
    for version, expected in versions.items():
        assert await ask(gateway, user(**valid), x_version=version) == expected, version
    assert await ask(gateway, user(**valid)) == 403


async def test_tokens_are_found_where_the_rule_says(start: Start) -> None:
    places = {"fromHeaders": [{"name": "x-token"}], "fromParams": ["t"], "fromCookies": ["session"]}
    gateway = await start({"rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]}, jwt_rules=[places])
    assert await ask(gateway, x_token=user()) == {}
    assert await ask(gateway, target=f"/?t={user()}") == {}
    assert await ask(gateway, cookie=f"a=b; session={user()}") == {}
    assert await ask(gateway, user()) == 403
    assert await ask(gateway, x_token=user(), cookie="session=abc") == 401


async def test_without_places_a_token_is_in_the_header_or_in_the_query(start: Start) -> None:
    gateway = await start({"rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]})
    assert [await ask(gateway, user()), await ask(gateway, target=f"/?access_token={user()}")] == [{}, {}]
    assert await ask(gateway, cookie=f"access_token={user()}") == 403


async def test_claims_the_payload_and_the_token_become_headers(start: Start) -> None:
    outputs = {"x-user-age": "age", "x-user-org": "org.team"}
    rule = {
        "outputClaimToHeaders": [{"header": header, "claim": claim} for header, claim in outputs.items()],
        "outputPayloadToHeader": "x-user-claims",
        "forwardOriginalToken": True,
    }
    gateway = await start(jwt_rules=[rule])
    sent = user(age=36, org={"team": "a"})
    found = await ask(gateway, sent)
    assert isinstance(found, dict)
    assert found.pop("x-user-claims") == sent.split(".")[1]
    assert found == {"x-user-age": "36", "x-user-org": "a", "authorization": f"Bearer {sent}"}
    assert await ask(gateway, x_user_age="99") == {}


async def test_each_issuer_has_its_own_keys(start: Start) -> None:
    jwt_rules = [{}, {"issuer": OTHER, "jwks": key_set(RSA), "audiences": []}]
    gateway = await start(jwt_rules=jwt_rules)
    assert await ask(gateway) == {}
    assert await ask(gateway, user()) == {}
    assert await ask(gateway, user(RSA, iss=OTHER, aud=None)) == {}
    assert await ask(gateway, user(RSA)) == 401
    assert await ask(gateway, user(EC, iss=OTHER)) == 401


def test_filters_are_in_the_order_of_istio(edited_rules: EditRules) -> None:
    rules = edited_rules(
        (KUSTOMIZATION, f"- {AUTHORIZATION_POLICY}", f"- {AUTHORIZATION_POLICY}\n  - first.yaml\n  - allow.yaml")
    )
    deny = yaml.safe_load((rules / AUTHORIZATION_POLICY).read_text())
    (rules / "allow.yaml").write_text(yaml.safe_dump({**deny, "spec": {"rules": [{}]}}))
    insert = (rules / "envoyfilter-request-buffer.yaml").read_text().partition("    - applyTo: HTTP_ROUTE")[0]
    insert = insert.replace("INSERT_BEFORE", "INSERT_FIRST").replace("name: envoy.filters.http.buffer", "name: first")
    insert = insert.replace("\n              subFilter:\n                name: envoy.filters.http.router", "")
    (rules / "first.yaml").write_text(insert)
    manager = connection_manager(rules)
    names = [found["name"].rpartition(".")[2] for found in manager["http_filters"]]
    assert names == ["first", "jwt_authn", "rbac", "rbac", "buffer", "router"]
    assert [found["typed_config"]["rules"]["action"] for found in manager["http_filters"][2:4]] == ["DENY", "ALLOW"]
