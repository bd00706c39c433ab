"""k8s/components/certificates: what the authority asks reaches its answer, and what it issues reaches the gateway."""

import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.k8s import references, rules
from tests.k8s.kustomization import build
from tests.k8s.objects import find, of_kind
from tests.k8s.project import K8S, ROOT, Object
from tests.k8s.schemas import check_custom, kind_of
from workbench.project import NAME

CHALLENGES = "/.well-known/acme-challenge/"


@pytest.fixture(scope="module")
def objects(with_users: list[Object]) -> list[Object]:
    return build(K8S / "components" / "certificates", deepcopy(with_users))


@pytest.mark.parametrize("check", [*references.CHECKS, *rules.CHECKS], ids=lambda check: check.__name__)
def test_the_manifests_pass(objects: list[Object], check: references.Check) -> None:
    assert check(objects) == []


def test_it_adds_a_route_and_changes_nothing_else(objects: list[Object], with_users: list[Object]) -> None:
    after = deepcopy(objects)
    routes = find(after, "VirtualService", NAME)["spec"]["http"]
    [route] = [route for route in routes if route["name"] == "acme"]
    routes.remove(route)

    assert after[: len(with_users)] == with_users
    assert {item["metadata"]["namespace"] for item in after[len(with_users) :]} == {"istio-system"}


def https(objects: list[Object]) -> Object:
    """The server of the gateway that has a certificate."""
    servers = find(objects, "Gateway", NAME)["spec"]["servers"]
    [found] = [server for server in servers if server["port"]["protocol"] == "HTTPS"]
    return dict(found)


def test_the_gateway_serves_the_certificate(objects: list[Object]) -> None:
    certificate = find(objects, "Certificate", f"{NAME}-tls")

    assert certificate["spec"]["secretName"] == https(objects)["tls"]["credentialName"]
    issuer = find(objects, "Issuer", certificate["spec"]["issuerRef"]["name"])
    assert issuer["metadata"]["namespace"] == certificate["metadata"]["namespace"] == "istio-system"


def test_in_production_it_is_for_the_names_of_the_gateway(production: list[Object]) -> None:
    """If it comes from the component, and not by hand."""
    for certificate in of_kind(production, "Certificate"):
        assert certificate["spec"]["dnsNames"] == https(production)["hosts"]
        assert certificate["spec"]["secretName"] == https(production)["tls"]["credentialName"]


def test_the_gateway_can_answer_before_there_is_a_certificate(objects: list[Object]) -> None:
    """The authority asks at port 80, which in production redirects to HTTPS."""
    certificate = find(objects, "Certificate", f"{NAME}-tls")

    assert certificate["metadata"]["annotations"] == {"cert-manager.io/issue-temporary-certificate": "true"}


def test_production_redirects_to_https(production: list[Object]) -> None:
    http, _ = find(production, "Gateway", NAME)["spec"]["servers"]

    assert http["tls"] == {"httpsRedirect": True}


def test_what_the_authority_asks_reaches_the_solver(objects: list[Object]) -> None:
    routes = find(objects, "VirtualService", NAME)["spec"]["http"]
    asked = [route["name"] for route in routes if _matches(route, CHALLENGES)]
    [acme] = [route for route in routes if route["name"] == "acme"]
    service = find(objects, "Service", "acme-solver")
    [destination] = [entry["destination"] for entry in acme["route"]]

    assert asked[0] == "acme"
    assert destination == {
        "host": f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local",
        "port": {"number": service["spec"]["ports"][0]["port"]},
    }


def test_in_production_the_authority_needs_no_token(production: list[Object]) -> None:
    """Where there are certificates, and users."""
    users = [item for item in of_kind(production, "AuthorizationPolicy") if item["metadata"]["name"] == "users"]
    for policy in users if any(of_kind(production, "Certificate")) else []:
        everybody = [rule["to"] for rule in policy["spec"]["rules"] if "from" not in rule]
        assert f"{CHALLENGES}*" in [path for to in everybody for each in to for path in each["operation"]["paths"]]


def _matches(route: Object, path: str) -> bool:
    """Whether a route takes a GET of this path that has no special header."""
    conditions = route.get("match", [{}])
    return any(
        {*condition} <= {"uri", "method"}
        and path.startswith(condition.get("uri", {}).get("prefix", ""))
        and condition.get("method", {"exact": "GET"}) == {"exact": "GET"}
        and "regex" not in condition.get("uri", {})
        for condition in conditions
    )


@pytest.mark.parametrize("name", ["private authority", "dns"])
def test_another_authority_is_a_patch_that_the_page_has(
    name: str, objects: list[Object], other_schemas: dict[tuple[str, str], Object], tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "alerting.md").read_text()
    [patch] = re.findall(rf"<!-- {name} -->\n```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "issuer.yaml").write_text(patch)
    target = {"kind": "Issuer", "name": NAME}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"path": "issuer.yaml", "target": target}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    before = find(objects, "Issuer", NAME)["spec"]
    issuer = find(build(tmp_path, deepcopy(objects)), "Issuer", NAME)

    assert issuer["spec"] != before
    if kind_of(issuer) not in other_schemas:
        pytest.skip("no schema was given for Issuer: name the file of cert-manager's CRDs in CRDS")
    check_custom(issuer, other_schemas)
