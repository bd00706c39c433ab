"""Components that add routes: where they come in, where they lead to, and what is refused with file and field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.provider import Provider
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.tokens import EC
from workbench.ingress.bootstrap import IngressRuleError, read_rules
from workbench.ingress.rules import IDENTITY_HOST
from workbench.machine.folders import IDENTITY, IDENTITY_PROVIDER, INGRESS_RULES

ROUTE: dict[str, Any] = {
    "name": "added",
    "match": [{"uri": {"prefix": "/auth/"}}],
    "route": [{"destination": {"host": IDENTITY_HOST, "port": {"number": 80}}}],
}

MakeComponent = Callable[..., Path]


@pytest.fixture
def make_component(tmp_path: Path) -> MakeComponent:
    def make(*operations: object, kind: str = "VirtualService") -> Path:
        patches = [{"path": "patch.yaml", "target": {"kind": kind}}]
        head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({**head, "resources": [], "patches": patches}))
        (tmp_path / "patch.yaml").write_text(json.dumps(operations))
        return tmp_path

    return make


def add(index: int, **changes: object) -> dict[str, Any]:
    return {"op": "add", "path": f"/spec/http/{index}", "value": {**ROUTE, **changes}}


def names(*components: Path) -> list[str]:
    return [route.name for route in read_rules(INGRESS_RULES, components).virtual_service.spec.http]


def test_routes_come_in_where_the_patch_says(make_component: MakeComponent) -> None:
    before = names()
    component = make_component(add(1), add(0, name="first"))
    assert names(component) == ["first", before[0], "added", *before[1:]]


def test_patches_of_what_says_nothing_about_requests_are_ignored(make_component: MakeComponent) -> None:
    assert names(make_component(add(0), kind="Deployment|Service")) == names()


@pytest.mark.parametrize(
    ("operation", "field", "reason"),
    [
        (add(99), "[0].path", "the VirtualService has only"),
        ({**add(0), "op": "remove"}, "[0].op", "'remove'"),
        ({**add(0), "path": "/spec/hosts/0"}, "[0].path", "/spec/hosts/0"),
        (add(0, timeouts="1s"), "[0].value.timeouts", "does not support this field"),
        (add(0, match=[]), "[0].value", "a route without match takes every request"),
        (
            add(0, route=[{"destination": {"host": IDENTITY_HOST, "port": {"number": 81}}}]),
            "[0].value.route[0].destination.port.number",
            "the identity provider has no port 81; use 80",
        ),
        (
            add(0, route=[{"destination": {"host": IDENTITY_HOST, "port": {"number": 80}, "subset": "a"}}]),
            "[0].value.route[0].destination.subset",
            "the identity provider has no subsets",
        ),
        (
            add(0, route=[{"destination": {"host": "other", "port": {"number": 80}}}]),
            "[0].value.route[0].destination.host",
            "does not run in the workbench",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_patch(
    make_component: MakeComponent, operation: object, field: str, reason: str
) -> None:
    component = make_component(operation)
    with pytest.raises(IngressRuleError) as caught:
        read_rules(INGRESS_RULES, [component])
    assert (caught.value.file, caught.value.field) == (component / "patch.yaml", field)
    assert reason in caught.value.reason


@pytest.mark.parametrize("kind", ["Gateway", "RequestAuthentication", "Authorization.*"])
def test_a_patch_of_another_rule_is_refused(make_component: MakeComponent, kind: str) -> None:
    component = make_component(add(0), kind=kind)
    with pytest.raises(IngressRuleError) as caught:
        read_rules(INGRESS_RULES, [component])
    assert (caught.value.file, caught.value.field) == (component / "kustomization.yaml", "patches[0].target.kind")


async def test_the_provider_gets_what_is_below_its_path_and_only_that(start_gateway: StartGateway) -> None:
    provider, replica = Provider(EC), StubReplica()
    async with provider.running():
        components = [IDENTITY, IDENTITY_PROVIDER]
        gateway = await start_gateway(replica, components=components, identity_port=provider.port)
        assert (await gateway.client.get("/auth/keys")).json()["keys"]
        assert (await gateway.client.post("/auth/token")).status_code == 503  # of this provider
        assert not replica.received
        await gateway.client.get("/docs")
        assert [request.target for request in replica.received] == ["/docs"]


async def test_without_a_provider_its_routes_answer_503(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(), components=[IDENTITY, IDENTITY_PROVIDER])
    assert (await gateway.client.get("/auth/keys")).status_code == 503
    assert (await gateway.client.get("/docs")).status_code == 200


def test_the_address_of_the_ingress_is_replaced_where_a_value_begins_with_it() -> None:
    rules = read_rules(INGRESS_RULES, [IDENTITY], "http://localhost:1")
    assert [rule.issuer for rule in rules.jwt_rules] == ["http://localhost:1/auth"]
    [policy] = rules.authorization_policies
    principals = [one.source.request_principals for rule in policy.spec.rules for one in rule.sources]
    assert principals == [["http://localhost:1/auth/*"]]
