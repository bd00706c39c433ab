"""What components add and delete: where routes come in and lead to, and what is refused with file and field."""

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


DELETION: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1alpha3",
    "kind": "EnvoyFilter",
    "metadata": {"name": "local-replies", "namespace": "istio-system"},
    "$patch": "delete",
}


@pytest.fixture
def make_component(tmp_path: Path) -> MakeComponent:
    def make(*operations: object, kind: str = "VirtualService") -> Path:
        return component(tmp_path, operations, {"target": {"kind": kind}})

    return make


def component(folder: Path, patch: object, target: dict[str, Any]) -> Path:
    patches = [{"path": "patch.yaml", **target}]
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({**head, "resources": [], "patches": patches}))
    (folder / "patch.yaml").write_text(json.dumps(patch))
    return folder


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


def test_a_component_deletes_a_rule_that_comes_before(tmp_path: Path) -> None:
    def files(*components: Path) -> set[str]:
        return {placed.file.name for placed in read_rules(INGRESS_RULES, components).patches}

    assert files() - files(component(tmp_path, DELETION, {})) == {"envoyfilter-local-replies.yaml"}


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"kind": "EnvoyFilters"}, "metadata.name", "there is no networking.istio.io/v1alpha3 EnvoyFilters"),
        ({"apiVersion": "networking.istio.io/v1"}, "metadata.name", "istio-system/local-replies to delete"),
        ({"metadata": {"name": "other", "namespace": "istio-system"}}, "metadata.name", "istio-system/other"),
        ({"metadata": {"name": "local-replies", "namespace": "other"}}, "metadata.name", "other/local-replies"),
        ({"metadata": {"name": "local-replies"}}, "metadata.namespace", "is missing"),
        ({"spec": {}}, "spec", "does not support this field"),
        ({"$patch": "replace"}, "$patch", "knows only `delete`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_patch_that_deletes(
    tmp_path: Path, changes: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(IngressRuleError) as caught:
        read_rules(INGRESS_RULES, [component(tmp_path, {**DELETION, **changes}, {})])
    assert (caught.value.file, caught.value.field) == (tmp_path / "patch.yaml", field)
    assert reason in caught.value.reason


@pytest.mark.parametrize("patch", [{"kind": "EnvoyFilter"}, [add(0)]], ids=["merge", "json"])
def test_a_patch_without_target_that_deletes_nothing_is_refused(tmp_path: Path, patch: object) -> None:
    with pytest.raises(IngressRuleError) as caught:
        read_rules(INGRESS_RULES, [component(tmp_path, patch, {})])
    assert (caught.value.file, caught.value.field) == (tmp_path / "patch.yaml", "$patch")


def test_what_the_workbench_needs_cannot_be_deleted(tmp_path: Path) -> None:
    gateway = yaml.safe_load((INGRESS_RULES / "gateway.yaml").read_text())
    metadata = {name: gateway["metadata"][name] for name in ("name", "namespace")}
    deletion = {**DELETION, "apiVersion": gateway["apiVersion"], "kind": "Gateway", "metadata": metadata}
    with pytest.raises(IngressRuleError, match="needs exactly one Gateway and found none"):
        read_rules(INGRESS_RULES, [component(tmp_path, deletion, {})])


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
