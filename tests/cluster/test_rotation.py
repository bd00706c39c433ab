"""`make rotate` for the passwords of PostgreSQL, with the kubectl of kubectl.py, on a real PostgreSQL over TCP."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from cluster.rotation import PASSWORDS, ROTATIONS
from cluster.secrets import OF_ROLES, keep_password, manifests
from tests.cluster import kubectl
from tests.cluster.fake import Fake
from tests.k8s.objects import find
from tests.k8s.project import Object
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.machine.ports import free
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres
from workbench.project import NAME

ROLES = {key: role for role, key in OF_ROLES.items()} | {"postgres-password": "postgres"}


@dataclass(frozen=True)
class Server:
    postgres: Postgres
    port: int

    async def set(self, role: str, password: str) -> None:
        superuser = await asyncpg.connect(f"{self.postgres.url(SUPERUSER)}&port={self.port}")
        await superuser.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        await superuser.close()

    async def accepts(self, role: str, password: str) -> bool:
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=self.port, user=role, database="app", password=password
            )
        except asyncpg.InvalidPasswordError:
            return False
        await connection.close()
        return True


@pytest.fixture
async def server(new_data: Callable[[], Path], secrets: list[Object]) -> AsyncIterator[Server]:
    """A PostgreSQL that asks for the passwords of the Secret."""
    data, port = new_data(), free(1)[0]
    access = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (data / "postgres" / "pg_hba.conf").write_text(access)
    settings = NOT_DURABLE | {"listen_addresses": "127.0.0.1", "port": str(port)}
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as sockets:
        async with await open_postgres(data, sockets, Console(log), settings) as postgres:
            server = Server(postgres, port)
            for key, role in ROLES.items():
                await server.set(role, password(find(secrets, "Secret", "database"), key))
            yield server


@pytest.fixture
def secrets(tmp_path: Path) -> list[Object]:
    items: list[Object] = manifests(tmp_path / "secrets")["items"]
    return [item for item in items if item["metadata"]["name"].startswith("database")]


@pytest.fixture
def one(dev: list[Object], secrets: list[Object], tmp_path: Path) -> Fake:
    """A cluster with one PostgreSQL and a replica of the service."""
    pod = {"kind": "Pod", "metadata": {"name": "postgres-0", "labels": {"app.kubernetes.io/name": "postgres"}}}
    return cluster_of(tmp_path, [deepcopy(find(dev, "Service", "postgres")), pod], secrets)


@pytest.fixture
def three(production: list[Object], secrets: list[Object], tmp_path: Path) -> Fake:
    """A cluster with CloudNativePG."""
    service = deepcopy(find(production, "Service", "postgres"))
    return cluster_of(tmp_path, [service, kubectl.primary("postgres")], secrets)


def cluster_of(folder: Path, objects: list[Object], secrets: list[Object]) -> Fake:
    labels = {"app.kubernetes.io/component": "service"}
    fake = Fake(folder, [*objects, *secrets, {"kind": "Pod", "metadata": {"name": NAME, "labels": labels}}])
    fake.set(files=find(secrets, "Secret", "database")["data"])
    return fake


def password(secret: Object, key: str) -> str:
    return b64decode(secret["data"][key]).decode()


def rotate(fake: Fake, server: Server, key: str) -> "tuple[int, str]":
    done = fake.run(server.postgres, "cluster.rotation", SECRET=key, PGPORT=str(server.port))
    return done.returncode, done.stderr


@pytest.mark.parametrize("where", ["one", "three"])
@pytest.mark.parametrize("key", OF_ROLES.values())
async def test_a_password_changes_and_the_service_is_never_locked_out(
    where: str, key: str, server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fake: Fake = request.getfixturevalue(where)
    before = password(fake.find("Secret", "database"), key)

    assert rotate(fake, server, key) == (0, "")

    secret = fake.find("Secret", "database")
    after = password(secret, key)
    assert f"{key}-next" not in secret["data"]
    assert after != before
    assert await server.accepts(ROLES[key], after)
    assert not await server.accepts(ROLES[key], before)
    assert not (tmp_path / "locked-out").exists()


def test_a_pooler_is_restarted_as_soon_as_the_password_is_new(three: Fake, server: Server) -> None:
    """It would log in with the old one. When its clients come back, they still know both."""
    three.set(objects=[*three.objects(), {"kind": "Deployment", "metadata": {"name": "postgres-pooler"}}])

    assert rotate(three, server, "app-rw-password") == (0, "")

    steps = [call[:3] for call in three.calls() if call[0] in ("apply", "patch", "rollout")]
    swap = ["patch", "secret", "database"]
    begun, applied, restarted, _, swapped, *_ = steps
    assert (begun, applied[0], swapped) == (swap, "apply", swap)
    assert restarted == ["rollout", "restart", "deployment/postgres-pooler"]


async def test_the_one_postgresql_has_a_superuser_with_a_password(one: Fake, server: Server) -> None:
    assert rotate(one, server, "postgres-password") == (0, "")

    assert await server.accepts("postgres", password(one.find("Secret", "database"), "postgres-password"))


def test_the_superuser_of_cloudnativepg_has_none(three: Fake, server: Server) -> None:
    assert rotate(three, server, "postgres-password") == (
        1,
        "rotate: postgres-password: the superuser of CloudNativePG has no password\n",
    )


@pytest.mark.parametrize("where", ["one", "three"])
async def test_an_interrupted_rotation_goes_on(
    where: str, server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Here after PostgreSQL has the next password, and before the Secret says so."""
    fake: Fake = request.getfixturevalue(where)
    objects = fake.objects()
    data = find(objects, "Secret", "database")["data"]
    data["app-rw-password-next"] = b64encode(b"half-way").decode()
    fake.set(objects=objects, files=data)
    await server.set("app_rw", "half-way")

    assert rotate(fake, server, "app-rw-password") == (0, "")

    assert password(fake.find("Secret", "database"), "app-rw-password") == "half-way"
    assert await server.accepts("app_rw", "half-way")
    assert not (tmp_path / "locked-out").exists()


@pytest.mark.parametrize(("found", "kept"), [("old\n", "new\n"), ("of another cluster\n", "of another cluster\n")])
def test_the_file_of_this_cluster_gets_the_new_password(
    found: str, kept: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "app-rw-password"
    keep_password(file, "old", "new")
    assert not file.exists()
    capsys.readouterr()

    file.write_text(found)
    keep_password(file, "old", "new")

    assert file.read_text() == kept
    assert (f"{file} is not of this cluster" in capsys.readouterr().out) == (kept == found)


def test_no_password_is_an_argument_of_a_command(one: Fake, server: Server) -> None:
    """Other processes of the machine, and the log of the API server, have those."""
    before = one.find("Secret", "database")["data"]["app-rw-password"]
    assert rotate(one, server, "app-rw-password") == (0, "")

    after = one.find("Secret", "database")["data"]["app-rw-password"]
    written = str(one.calls())
    for value in (before, after):
        assert value not in written
        assert b64decode(value).decode() not in written


def test_an_unknown_secret_is_refused(one: Fake, server: Server) -> None:
    status, error = rotate(one, server, "everything")

    assert status == 1
    assert error == f"rotate: SECRET=everything cannot be rotated: only {', '.join(sorted(ROTATIONS))} can\n"


def test_the_pods_have_the_files_that_a_rotation_waits_for(production: list[Object]) -> None:
    pod = find(production, "Deployment", NAME)["spec"]["template"]["spec"]
    for container, variable, key in (
        (pod["initContainers"][0], "SERVICE_DATABASE_OWNER_PASSWORD_FILES", "app-owner-password"),
        (pod["containers"][0], "SERVICE_DATABASE_PASSWORD_FILES", "app-rw-password"),
    ):
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert env[variable] == f"{PASSWORDS}/{key},{PASSWORDS}/{key}-next"
        [mount] = [mount for mount in container["volumeMounts"] if mount["mountPath"] == PASSWORDS]
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == mount["name"]]
        sources = [source["secret"] for source in volume["projected"]["sources"]]
        assert [(item["key"], item["path"]) for source in sources for item in source["items"]] == [
            (key, key),
            (f"{key}-next", f"{key}-next"),
        ]
        assert [source.get("optional", False) for source in sources] == [False, True]
