"""`make token WHERE=cluster`: asks Dex through the ingress, and says what to do if there is no token."""

import asyncio
import json
import socket
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from cluster.access_token import of_cluster
from tests.workbench.ingress.stub_replicas import Received, StubReplica
from workbench.errors import UsageError, WorkbenchError
from workbench.machine.passwords import make_folder, of_user, password
from workbench.project import NAME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    make_folder(folder)
    password(of_user("ada", folder))
    password(of_user("grace", folder))
    return folder


async def answered(folder: Path, status: int, body: object, user: str | None = None, role: str | None = None) -> str:
    """The token that comes of an answer of the ingress. Fails unless the request is the one that Dex expects."""

    async def answer(request: Received) -> None:
        fields = {name: value for name, [value] in parse_qs(request.body.decode()).items()}
        name = user or ("grace" if role else "ada")
        assert (request.method, request.target) == ("POST", "/auth/token")
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        expected = {"grant_type": "password", "client_id": NAME, "username": f"{name}@example.com"}
        expected |= {"password": of_user(name, folder).read_text().strip(), "scope": "openid email profile groups"}
        assert fields == expected
        await request.respond(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    async with StubReplica(answer).running() as dex:
        return await asyncio.to_thread(of_cluster, user, role, f"http://localhost:{dex.upstream.api_port}", folder)


@pytest.mark.parametrize(
    ("user", "role"), [(None, None), ("ada", None), ("grace", None), (None, "admin"), ("grace", "admin")]
)
async def test_the_token_of_a_user(folder: Path, user: str | None, role: str | None) -> None:
    assert await answered(folder, 200, {"access_token": "a.b.c", "id_token": "d"}, user, role) == "a.b.c"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (
            404,
            {"status": 404, "title": "Not Found"},
            r"has no identity provider: start it with `tilt up`, without --identity=no, and list the components",
        ),
        (
            400,
            {"error": "unsupported_grant_type"},
            r"http://\S+ is the ingress of a workbench: name its folder",
        ),
        (401, {"error": "access_denied"}, r"Dex has another password for ada than .*: restart it with `kubectl"),
        (503, {"detail": "no healthy upstream"}, r"answered 503: no healthy upstream: look at the log of `identity`"),
        (200, b"<html>", r"answered 200: nothing more"),
        (200, [], r"answered 200: nothing more"),
    ],
)
async def test_an_answer_without_a_token(folder: Path, status: int, body: object, error: str) -> None:
    with pytest.raises(WorkbenchError, match=error):
        await answered(folder, status, body)


def test_nothing_answers(folder: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(WorkbenchError, match=f"nothing answers at {url} .*: start it with `tilt up`"):
            of_cluster(None, None, url, folder)


@pytest.mark.parametrize(
    ("user", "role", "error"),
    [
        ("eve", None, r"USER=eve: there is no such user: use one of ada, grace \(admin\)"),
        ("ada", "admin", r"ROLE=admin: ada does not have this role: leave out USER, or add the role in .*dex.yaml"),
        (None, "owner", r"ROLE=owner: no user has this role"),
    ],
)
def test_a_user_that_does_not_exist(folder: Path, user: str | None, role: str | None, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        of_cluster(user, role, "http://localhost:1", folder)


def test_without_the_password_nothing_is_asked_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"user-ada-password: No such file .*: the cluster's passwords are in"):
        of_cluster(None, None, "http://localhost:1", tmp_path)
    assert not list(tmp_path.iterdir())
