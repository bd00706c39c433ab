"""Who a request comes from: as the gateway says, for this request only, in the log, in the description of the API."""

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from time import time

import pytest
from quart import Blueprint

from service import identity, pages
from service.app import create_app
from service.domain import Built, Domain, Machinery
from service.identity import Identity, from_gateway
from service.settings import load
from service.web.answer import Answer
from service.web.answer import json as json_answer
from service.web.endpoint import endpoint
from service.web.openapi import describe
from service.web.websocket import Socket
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.processes import service_process
from tests.service.raw import raw_connection
from tests.service.serving import PROBE, Service
from tests.service.users import ADA, CARELESS, GATEWAY, OWNED, OWNERS, roles
from tests.service.websockets import handshake
from tests.waiting import WITHIN

ADMIN_TOO = roles("reader", "admin").encode()
NO_ADMIN = roles("administrator", "reader,admin", "Admin", "").encode()
NO_LISTS = (b"admin", b"reader admin", b"ImFkbWluIg", b"eyJhZG1pbiI6MX0", b'["admin"]', b"W*yJhZG1pbiJd", b"\xe9")


def build_public(machinery: Machinery) -> Built:
    """A public domain that reads things, although they have owners."""
    routes = Blueprint("public", __name__, url_prefix="/public")

    @routes.get("")
    @endpoint()
    async def read() -> Answer:
        async with machinery.database.connection() as connection:
            return json_answer({"things": [dict(row) for row in await connection.fetch(CARELESS["read"])]})

    return Built(routes)


def build_sockets(machinery: Machinery) -> Built:
    routes = Blueprint("sockets", __name__, url_prefix="/sockets")

    @routes.websocket("/own")
    async def own(socket: Socket) -> None:
        async with machinery.database.connection() as connection:
            found = await connection.fetch(CARELESS["read"])
        await socket.accept(headers={"x-things": " ".join(row["name"] for row in found)})

    @routes.websocket("/forever")
    async def forever(socket: Socket) -> None:
        await socket.accept()
        await asyncio.Event().wait()

    @routes.websocket("/never")
    async def never(socket: Socket) -> None:
        await asyncio.Event().wait()

    return Built(routes)


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return OWNED, Domain(build_public), Domain(build_sockets, owned=True)


@pytest.fixture
async def service(start_service: StartService, database: Database) -> Service:
    await database.execute(OWNERS)
    await database.execute("INSERT INTO things (name, owner) VALUES ('of-ada', 'ada'), ('of-bob', 'bob')")
    return await start_service(identity=GATEWAY, pool_size=1)


async def test_a_user_is_forgotten_after_the_request(service: Service) -> None:
    """Also on the same connection, of the client and of the database."""
    async with raw_connection(service) as connection:
        await connection.send(b"GET /things HTTP/1.1\r\nHost: test\r\nX-User: ada\r\n\r\n")
        assert [thing["name"] for thing in (await connection.response()).json()["items"]] == ["of-ada"]
        await connection.send(b"GET /public HTTP/1.1\r\nHost: test\r\nX-User: ada\r\n\r\n")
        assert (await connection.response()).json() == {"things": []}
        await connection.send(b"GET /things HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        answer = await connection.rest()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"of-" not in answer


async def test_a_websocket_needs_a_user_too_and_runs_for_them(service: Service) -> None:
    answers = []
    for headers in ("", "X-User: ada\r\n"):
        async with raw_connection(service) as connection:
            await connection.send(handshake("/sockets/own", headers))
            async with asyncio.timeout(WITHIN):
                answers.append(await connection.reader.readuntil(b"\r\n\r\n"))

    assert answers[0].startswith(b"HTTP/1.1 401 ")
    assert answers[1].startswith(b"HTTP/1.1 101 ")
    assert b"x-things: of-ada\r\n" in answers[1].lower()


async def test_streams_and_websockets_end_with_the_token(service: Service) -> None:
    """A minute later than it says: so long the gateway accepts it, and would only see the client come again."""
    soon = {**ADA, "x-user-expires": f"{time() - 60.5}"}
    async with asyncio.timeout(WITHIN):
        async with service.subscribe(headers=soon) as events:
            assert [block.event async for block in events if block.event or block.retry == "100"] == [None]
        async with raw_connection(service) as connection:
            await connection.send(
                handshake("/sockets/forever", f"X-User: ada\r\nX-User-Expires: {time() - 60.5}\r\n")
            )
            answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"\x88\x02" + (3000).to_bytes(2))


async def test_a_handshake_with_a_token_that_has_expired_is_refused(service: Service) -> None:
    """If its view waits before it accepts."""
    async with raw_connection(service) as connection:
        await connection.send(handshake("/sockets/never", "X-User: ada\r\nX-User-Expires: 1\r\n"))
        async with asyncio.timeout(WITHIN):
            assert (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_public_routes_need_no_user(service: Service, method: str) -> None:
    assert (await service.api.request("OPTIONS", "/things")).status_code == 200
    assert (await service.api.request(method, "/public")).status_code == (405 if method == "POST" else 200)
    assert (await service.api.request(method, "/nowhere")).status_code == 404


async def test_the_log_has_the_user_and_never_a_token(database: Database) -> None:
    lines: dict[str, list[str]] = {}
    for setting in ("none", GATEWAY):
        async with service_process(
            database, SERVICE_LOG_FORMAT="json", SERVICE_LOG_LEVEL="debug", SERVICE_IDENTITY=setting
        ) as process:
            await process.ready()
            headers = {**ADA, "authorization": "Bearer s3cret", "x-user-email": "ada@example.org"}
            await process.api.get("/things", headers=headers)
            await process.api.get("/things")
            process.send(signal.SIGINT)
            lines[setting] = await process.lines()

    assert "s3cret" not in "".join([*lines["none"], *lines[GATEWAY]])
    assert "example.org" not in "".join([*lines["none"], *lines[GATEWAY]])
    users = {
        setting: [entry.get("user") for entry in map(json.loads, logged) if entry["logger"] == "service.access"]
        for setting, logged in lines.items()
    }
    assert users == {"none": [None, None], GATEWAY: ["ada", None]}


def test_the_description_has_what_users_need() -> None:
    domains = (*PROBE, Domain(build_public), replace(OWNED, build=build_owned_route, links={}), pages.DOMAIN)

    documents = {
        setting: describe(create_app(load({"SERVICE_IDENTITY": setting}), domains=domains).quart)
        for setting in ("none", GATEWAY)
    }

    assert "securitySchemes" not in documents["none"]["components"]
    discovery = "/auth/.well-known/openid-configuration"
    assert documents[GATEWAY]["components"]["securitySchemes"] == {
        "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "sign-in": {"type": "openIdConnect", "openIdConnectUrl": discovery},
    }
    for setting, document in documents.items():
        for path, operations in document["paths"].items():
            for operation in operations.values():
                # The gateway lets only users reach what is public among them, too; the page is for everybody.
                needs_user = setting == GATEWAY and path != "/"
                assert operation.get("security") == ([{"user": []}, {"sign-in": []}] if needs_user else None)
                refusals = {"401", "403"} & set(map(str, operation["responses"]))
                assert refusals == ({"401", "403"} if needs_user else {"401"} if setting == GATEWAY else set()), path
    refusal = documents[GATEWAY]["paths"]["/mine"]["get"]["responses"]
    assert "www-authenticate" in refusal.get(401, refusal.get("401"))["headers"]


def build_owned_route(_machinery: Machinery) -> Built:
    routes = Blueprint("mine", __name__, url_prefix="/mine")

    @routes.get("")
    @endpoint()
    async def mine() -> Answer:
        return Answer(204)

    return Built(routes)


@pytest.mark.parametrize(
    ("headers", "user"),
    [
        ([(b"x-user", b"ada")], Identity("ada")),
        ([(b"x-user", b"ada"), (b"x-user-roles", b"")], Identity("ada")),
        ([(b"x-user", b"ada"), (b"x-user-roles", ADMIN_TOO)], Identity("ada", sees_all=True)),
        ([(b"x-user", b"ada"), (b"x-user-roles", ADMIN_TOO.rstrip(b"="))], Identity("ada", sees_all=True)),
        ([(b"x-user-roles", b"WyJhZG1pbiJd"), (b"x-user", b"ada")], Identity("ada", sees_all=True)),
        ([(b"x-user", b"ada"), (b"x-user-roles", NO_ADMIN)], Identity("ada")),
        # A text, as of a provider whose claim is one; JSON that is no list; what is not base64url.
        *(([(b"x-user", b"ada"), (b"x-user-roles", value)], Identity("ada")) for value in NO_LISTS),
        ([(b"x-user", b"ada"), (b"x-user", b"ada")], None),
        ([(b"x-user", b"ada"), (b"x-user-expires", b"1800000000")], Identity("ada", expires=1_800_000_000)),
        ([(b"x-user-expires", b"1800000000.5"), (b"x-user", b"ada")], Identity("ada", expires=1_800_000_000.5)),
        *(([(b"x-user", b"ada"), (b"x-user-expires", value)], None) for value in (b"", b"-1", b"1e12", b"never")),
        ([(b"x-user", b"ada"), (b"x-user-expires", b"1"), (b"x-user-expires", b"2")], None),
        ([(b"x-user", b"\xe9")], None),
        ([(b"x-user", b"a\tb")], None),
        ([], None),
    ],
)
def test_only_what_the_gateway_says_once_counts(headers: list[tuple[bytes, bytes]], user: Identity | None) -> None:
    assert from_gateway(headers) == user


def test_nobody_is_the_default() -> None:
    assert identity.caller.get() is None
    assert identity.acting.get() is None
