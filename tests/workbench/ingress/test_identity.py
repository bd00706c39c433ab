"""Users: k8s/components/identity in front of stub replicas.

What a real istiod makes of the same files decides in the same way. ISTIOD_LISTENERS is a file with the listeners that
it sends to the gateway of a cluster that has the component; without the file, that is not tested:

    istioctl proxy-config listeners -n istio-system deploy/istio-ingressgateway -o json
"""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.waiting import eventually
from tests.workbench.ingress.changed_rules import EditRules, SetRules
from tests.workbench.ingress.decisions import Address, bearer, decisions, tell
from tests.workbench.ingress.gateway import Gateway, StartGateway, assert_problem
from tests.workbench.ingress.identity_requests import EXPECTED, TABLE
from tests.workbench.ingress.provider import Provider
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.test_cors import ALLOWED, cors_headers, preflight, with_policy
from tests.workbench.ingress.tokens import EC, NEXT, RSA, Key, key_set, token
from tests.workbench.ingress.translation import VIRTUAL_SERVICE
from workbench.machine.folders import MANIFESTS
from workbench.project import NAME

IDENTITY = MANIFESTS / "components" / "identity"
LISTENERS = os.environ.get("ISTIOD_LISTENERS", "")

HTML = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]


async def accepts(gateway: Gateway, key: Key) -> bool:
    return (await gateway.client.get("/things", headers=[bearer(token(key))])).status_code == 200


async def test_the_decisions_of_the_workbench(start_gateway: StartGateway) -> None:
    provider = Provider(EC, RSA)
    async with provider.running():
        gateway = await start_gateway(StubReplica(tell), components=[IDENTITY], identity_port=provider.port)
        assert await decisions(Address(gateway.port), TABLE) == EXPECTED
        # Clocks differ by up to a minute. The token is not in the table, which may be older than that.
        barely = [bearer(token(exp=int(time.time()) - 5))]
        assert (await gateway.client.get("/things", headers=barely)).status_code == 200


@pytest.mark.skipif(not LISTENERS, reason="ISTIOD_LISTENERS names no file; see the top of this file")
async def test_the_decisions_of_a_real_istiod(start_gateway: StartGateway) -> None:
    manager = _connection_manager(json.loads(await asyncio.to_thread(Path(LISTENERS).read_text)))
    assert manager, "no listener for HTTP"
    for provider in _configuration(manager, "jwt_authn")["providers"].values():
        provider.pop("remoteJwks", None)
        provider["localJwks"] = {"inlineString": key_set(EC, RSA)}

    def as_istiod(bootstrap: dict[str, Any]) -> None:
        ours = _connection_manager(bootstrap)
        assert ours
        ours.pop("local_reply_config")
        ours["localReplyConfig"] = manager["localReplyConfig"]
        ours["http_filters"] = [found for found in manager["httpFilters"] if "istio." not in found["name"]]

    gateway = await start_gateway(StubReplica(tell), components=[IDENTITY], change=as_istiod)
    assert await decisions(Address(gateway.port), TABLE) == EXPECTED


async def test_the_service_learns_when_the_token_expires(start_gateway: StartGateway) -> None:
    replica, provider, exp = StubReplica(), Provider(EC), int(time.time()) + 600
    async with provider.running():
        gateway = await start_gateway(replica, components=[IDENTITY], identity_port=provider.port)
        forged = ("x-user-expires", "99999999999")
        for value in (token(exp=exp), token(exp=exp + 0.5), token(exp=None)):
            await gateway.client.get("/things", headers=[forged, bearer(value)])

    assert [request.headers.get("x-user-expires") for request in replica.received] == [
        f"{exp}",
        f"{exp}.500000",
        None,
    ]


def test_the_table_is_large_enough_and_names_are_unique() -> None:
    assert len(EXPECTED) == len(TABLE) >= 60


async def test_a_new_key_is_noticed_and_an_old_one_forgotten(start_gateway: StartGateway) -> None:
    provider = Provider(EC)
    async with provider.running():
        gateway = await start_gateway(StubReplica(), components=[IDENTITY], identity_port=provider.port)
        assert await accepts(gateway, EC)
        assert not await accepts(gateway, NEXT)

        provider.keys = (NEXT,)
        await eventually(lambda: accepts(gateway, NEXT), "Envoy has the new key")
        assert not await accepts(gateway, EC)


async def test_the_provider_may_come_later_and_be_away(start_gateway: StartGateway) -> None:
    provider = Provider()
    async with provider.running():
        gateway = await start_gateway(StubReplica(), components=[IDENTITY], identity_port=provider.port)
        assert (await gateway.client.get("/")).status_code == 200
        assert_problem(await gateway.client.get("/things", headers=[bearer(token())]), 401)

        async def fetches(result: str, more: int) -> None:
            """Waits until Envoy has fetched the keys so often in the background."""
            name = f"jwt_authn.jwks_fetch_{result}"
            before = await gateway.statistic(name, of="http.ingress")

            async def done() -> bool:
                return await gateway.statistic(name, of="http.ingress") >= before + more

            await eventually(done, f"{name} has risen by {more}")

        provider.keys = (EC,)
        await fetches("success", 1)
        assert await accepts(gateway, EC)
        provider.keys = ()
        await fetches("failed", 2)
        assert await accepts(gateway, EC)


async def test_without_a_provider_the_page_answers_and_no_token_is_valid(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(), components=[IDENTITY])
    assert (await gateway.client.get("/")).status_code == 200
    assert_problem(await gateway.client.get("/things", headers=[bearer(token())]), 401)


async def test_refusals_are_problems_or_pages(start_gateway: StartGateway) -> None:
    provider = Provider(EC)
    async with provider.running():
        gateway = await start_gateway(StubReplica(), components=[IDENTITY], identity_port=provider.port)
        refusals = [
            (401, f'Bearer realm="{NAME}"', []),
            (401, 'error="invalid_token"', [bearer(token(exp=1))]),
            (401, 'error="invalid_token"', [bearer(token(aud="other"))]),
            (403, "", [bearer(token(sub=""))]),
        ]
        for status, challenge, headers in refusals:
            problem = await gateway.client.get("/things", headers=headers)
            assert_problem(problem, status)
            assert problem.json()["title"] == {401: "Unauthorized", 403: "Forbidden"}[status]
            assert problem.json()["request_id"]
            page = await gateway.client.get("/things", headers=[*headers, *HTML])
            assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
            assert f"Error {status}" in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            for response in (problem, page):
                assert challenge in response.headers.get("www-authenticate", "")
                assert ("www-authenticate" in response.headers) == (status == 401)
                assert response.headers["x-content-type-options"] == "nosniff"
                assert "retry-after" not in response.headers


async def test_other_errors_of_the_gateway_are_as_without_the_component(
    start_gateway: StartGateway, set_rules: SetRules
) -> None:
    rules = set_rules((VIRTUAL_SERVICE, "spec.http.*.directResponse.status", 403))
    gateway = await start_gateway(StubReplica(ready=503), rules=rules, components=[IDENTITY], wait=False)
    for headers in ([], HTML):
        response = await gateway.client.get("/", headers=headers)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        direct = await gateway.client.get("/", headers=[*headers, ("user-agent", "curl")])
        assert (direct.status_code, direct.json()["title"]) == (403, "Too Many Requests")


def test_what_clients_send_is_removed_of_all_headers_that_claims_go_to() -> None:
    [rule] = _spec("requestauthentication.yaml")["jwtRules"]
    [patch] = _spec("envoyfilter-identity-headers.yaml")["configPatches"]
    mutations = patch["patch"]["value"]["typed_config"]["mutations"]["request_mutations"]
    assert [mutation["remove"] for mutation in mutations] == [to["header"] for to in rule["outputClaimToHeaders"]]


def _spec(file: str) -> Any:
    return yaml.safe_load((IDENTITY / file).read_text())["spec"]


def _connection_manager(node: Any) -> dict[str, Any] | None:
    """The first one in a configuration."""
    if isinstance(node, dict):
        if "httpFilters" in node or "http_filters" in node:
            return node
        node = list(node.values())
    children = node if isinstance(node, list) else []
    return next((found for child in children if (found := _connection_manager(child))), None)


def _configuration(manager: dict[str, Any], name: str) -> Any:
    [found] = (found for found in manager["httpFilters"] if found["name"].endswith(name))
    return found["typedConfig"]


async def test_pages_of_other_origins_need_a_token_and_a_policy(
    start_gateway: StartGateway, edited_rules: EditRules, tmp_path: Path
) -> None:
    """As docs/identity.md says: with a corsPolicy, preflights need a rule, because they never have a token."""
    component = Path(shutil.copytree(IDENTITY, tmp_path / "identity"))
    listed = component / "kustomization.yaml"
    limit_by_key = "  - path: envoyfilter-rate-limit.yaml\n"  # which the rules of these tests do not have
    assert limit_by_key in listed.read_text()
    listed.write_text(listed.read_text().replace(limit_by_key, ""))
    policy = component / "authorizationpolicy-gateway.yaml"
    rule = "    - to: [{ operation: { methods: [OPTIONS] } }]\n"
    policy.write_text(policy.read_text().replace("  rules:\n", f"  rules:\n{rule}"))
    replica, provider = StubReplica(), Provider(EC)
    async with provider.running():
        gateway = await start_gateway(
            replica, rules=edited_rules(with_policy()), components=[component], identity_port=provider.port
        )
        for origin, allowed in ((ALLOWED[0], ALLOWED[0]), ("https://other.example", None)):
            asked = {"origin": origin, "cookie": f"access_token={token()}"}
            answers = [
                await preflight(gateway, origin),
                await gateway.client.get("/a", headers=asked),
                await gateway.client.post("/a", headers=asked, data={"name": "a"}),
                await gateway.client.get("/a", headers=[*asked.items(), bearer(token())]),
            ]
            assert [answer.status_code for answer in answers] == [200, 401, 401, 200]
            # Istio decides about users before CORS, so no page of another origin can read a 401.
            origins = [cors_headers(answer).get("allow-origin") for answer in answers]
            assert origins == [allowed, None, None, allowed]
    assert [request.method for request in replica.received] == ["GET", "OPTIONS", "GET"]
