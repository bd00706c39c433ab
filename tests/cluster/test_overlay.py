"""`make status` says which step of docs/production.md was forgotten."""

import re
from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace

import pytest

from cluster.kubectl import LOCAL, NAMESPACE
from cluster.line import Line
from cluster.overlay import example_lines
from cluster.status import status
from tests.k8s.project import K8S, Object
from workbench.project import NAME

OVERLAY = K8S / "overlays" / "production"
KINDS = {
    *("gateways.networking.istio.io", "virtualservices.networking.istio.io"),
    *("objectstores.barmancloud.cnpg.io", "certificates.cert-manager.io", "clusters.postgresql.cnpg.io"),
}


@pytest.fixture
def status_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Object]], list[Line]]:
    """The lines for a cluster with these objects, and without pods."""

    def lines(objects: list[Object]) -> list[Line]:
        def get(kinds: str, *_: str, namespace: str = NAMESPACE) -> list[Object]:
            plurals = {kind.partition(".")[0] for kind in kinds.split(",")}
            found = [deepcopy(item) for item in objects if plurals & plurals_of(item)]
            for item in found:
                item["metadata"]["uid"] = ""
                if item["kind"] == "Service":
                    item["spec"].setdefault("type", "ClusterIP")
            return [item for item in found if item["metadata"].get("namespace") == namespace]

        known = SimpleNamespace(stdout="\n".join(KINDS))
        monkeypatch.setattr("cluster.status.get", get)
        monkeypatch.setattr("cluster.status.kubectl", lambda *_, **__: known)
        return list(status())

    return lines


def plurals_of(item: Object) -> set[str]:
    kind = item["kind"].lower()
    return {f"{kind}s", re.sub("y$", "ies", kind)}


def examples(lines: list[Line]) -> list[Line]:
    return [line for line in lines if " is only an example: write yours into " in line.error]


def test_every_file_of_production_that_has_an_example_is_named_once(
    production: list[Object], status_of: Callable[[list[Object]], list[Line]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.overlay.CONTEXT", "cloud")

    found = status_of(production)

    wanted = [file.name for file in OVERLAY.glob("*.yaml") if "example.com" in re.sub("#.*", "", file.read_text())]
    named = [
        file for line in examples(found) for file in re.findall(r"k8s/overlays/production/([\w.-]+)", line.error)
    ]
    assert sorted(named) == sorted(wanted)
    assert len({(line.kind, line.name) for line in found}) == len(found)


def test_the_local_cluster_may_have_examples(
    production: list[Object], status_of: Callable[[list[Object]], list[Line]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.overlay.CONTEXT", LOCAL)

    assert examples(status_of(production)) == []


def deployment(image: str = "registry.sea/shop:1", **env: str) -> Object:
    variables = [{"name": name, "value": value} for name, value in env.items()]
    spec = {"containers": [{"name": "service", "image": image, "env": variables}]}
    metadata = {"name": "shop", "namespace": "sea"}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    ("item", "error"),
    [
        (deployment(), ""),
        (deployment(ISSUER="https://my-example.com, https://example.community, https://id.example.com.br"), ""),
        (
            deployment("registry.example.com/shop:1", ISSUER="https://id.example.com"),
            "registry.example.com is only an example: write yours into k8s/overlays/production/kustomization.yaml, "
            "id.example.com is only an example: write yours into k8s/overlays/production/identity-service.yaml",
        ),
        (
            {
                "kind": "Gateway",
                "metadata": {"name": "shop", "namespace": "sea"},
                "spec": {"servers": [{"hosts": ["*.example.com"]}, {"hosts": ["*.example.com"]}]},
            },
            "*.example.com is only an example: write yours into k8s/overlays/production/gateway.yaml",
        ),
    ],
    ids=["none", "names of others", "two files", "twice the same"],
)
def test_an_example_is_a_name_below_example_com(item: Object, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.overlay.CONTEXT", "cloud")

    assert [line.error for line in example_lines([item])] == ([error] if error else [])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("RequestAuthentication", "users"), ("AuthorizationPolicy", "users"), ("EnvoyFilter", "identity-headers")],
)
def test_a_service_that_believes_a_gateway_without_the_rules_for_users_is_not_ok(
    kind: str, name: str, with_users: list[Object], status_of: Callable[[list[Object]], list[Line]]
) -> None:
    """As with the patches of the component identity, while the overlay does not list it."""
    rest = [item for item in with_users if (item["kind"], item["metadata"]["name"]) != (kind, name)]

    [line] = [line for line in status_of(rest) if line.kind == "deployment"]

    assert len(rest) == len(with_users) - 1
    assert (line.name, line.state) == (f"{NAMESPACE}/{NAME}", "SERVICE_IDENTITY=gateway")
    assert line.error.startswith(
        f"anybody may name themselves any user, because the gateway has no {kind} {name}: list the component identity"
    )


@pytest.mark.parametrize("overlay", ["with_users", "without_users"])
def test_with_the_rules_or_without_users_it_is_ok(
    overlay: str, request: pytest.FixtureRequest, status_of: Callable[[list[Object]], list[Line]]
) -> None:
    lines = status_of(request.getfixturevalue(overlay))

    assert [line for line in lines if line.kind == "deployment"] == []
