"""The manifests refer to what exists and follow the project's rules, and each check finds an error of its kind."""

from copy import deepcopy

import pytest

from tests.k8s import references, rules
from tests.k8s.kustomization import build
from tests.k8s.objects import change, containers, find
from tests.k8s.project import PRODUCTION, Object
from workbench.project import NAME

DEPLOYMENT = f"Deployment/{NAME} spec template spec containers service"
POSTGRES = "StatefulSet/postgres spec template spec containers postgres"
BACKUP = "CronJob/postgres-backup spec jobTemplate spec template spec"
DIGEST = f"sha256:{64 * 'a'}"
PASSWORD = {"name": "SERVICE_DATABASE_PASSWORD", "value": "hunter2"}


@pytest.mark.parametrize("check", [*references.CHECKS, *rules.CHECKS], ids=lambda check: check.__name__)
def test_the_manifests_pass(overlay: list[Object], check: references.Check) -> None:
    assert check(overlay) == []


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        ({"newName": "registry.example.com/team/name", "newTag": "1.2.3"}, "registry.example.com/team/name:1.2.3"),
        ({"newName": "localhost:5005/name", "newTag": "2026.12.1-rc.1"}, "localhost:5005/name:2026.12.1-rc.1"),
        ({"newName": "localhost:5005/name", "digest": DIGEST}, f"localhost:5005/name@{DIGEST}"),
        ({"newTag": "1.2.3"}, f"{NAME}:1.2.3"),
    ],
)
def test_production_may_have_any_image_of_an_exact_version(fields: dict[str, str], image: str) -> None:
    objects = build(PRODUCTION, components=[], patches=[], images=[{"name": NAME, **fields}])

    assert {container["image"] for container in containers(find(objects, "Deployment", NAME))} == {image}
    assert rules.images_are_pinned(objects) == []


def test_only_the_reloading_container_can_write_to_its_root(
    with_users: list[Object], production: list[Object]
) -> None:
    assert rules.root_is_read_only(production) == []
    [error] = rules.root_is_read_only(with_users)
    assert error.startswith(f"Deployment {NAME}/{NAME}: container service can write")


def test_the_pods_of_the_service_have_its_name(overlay: list[Object]) -> None:
    """Prometheus makes the label the job, and rules and dashboards select by it."""
    template = find(overlay, "Deployment", NAME)["spec"]["template"]

    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == NAME


@pytest.mark.parametrize(
    ("path", "value", "check", "error"),
    [
        (
            "Service/postgres spec selector app.kubernetes.io/name",
            "postgresql",
            references.selectors_match_pods,
            f"Service {NAME}/postgres",
        ),
        (f"Service/{NAME} spec ports 0 targetPort", 8001, references.services_reach_ports, "no port 8001"),
        (
            f"VirtualService/{NAME} spec http -1 route 0 destination port number",
            8080,
            references.services_reach_ports,
            "no Service serves",
        ),
        (f"{DEPLOYMENT} livenessProbe httpGet port", "admin", references.probes_reach_ports, "no port admin"),
        (
            "AuthorizationPolicy/postgres spec rules 0 from 0 source serviceAccounts",
            ["other"],
            references.accounts_exist,
            f"no ServiceAccount {NAME}/other",
        ),
        (
            "AuthorizationPolicy/service spec rules 0 to 0 operation ports",
            ["80"],
            references.accounts_exist,
            "no port 80",
        ),
        (
            "StatefulSet/postgres spec volumeClaimTemplates 1 metadata name",
            "dumps",
            references.volumes_exist,
            "backups-postgres-0",
        ),
        (f"{POSTGRES} image", "library/postgres:latest", rules.images_are_pinned, "postgres:latest"),
        (f"{POSTGRES} image", "library/postgres:18", rules.images_are_pinned, "postgres:18"),
        (f"{POSTGRES} image", "library/postgres", rules.images_are_pinned, "library/postgres has"),
        (
            f"{DEPLOYMENT} env SERVICE_SHUTDOWN_GRACE value",
            "20",
            rules.shutdown_fits_into_the_grace_period,
            "can take 30 s",
        ),
        (f"{DEPLOYMENT} env 0", PASSWORD, rules.no_secret_is_in_git, "SERVICE_DATABASE_PASSWORD"),
        (f"{BACKUP} securityContext runAsNonRoot", False, rules.pods_are_restricted, "runAsNonRoot"),
    ],
)
def test_a_check_finds_an_error(
    dev: list[Object], path: str, value: object, check: references.Check, error: str
) -> None:
    objects = deepcopy(dev)
    kind, name, *_ = path.replace("/", " ", 1).split()
    change(find(objects, kind, name), path.partition(" ")[2], value)

    assert any(error in line for line in check(objects)), check(objects)
