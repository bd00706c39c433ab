"""Owned rows: each user reads, changes and follows their own, an admin all, and nobody learns of the others."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from service import identity
from service.database.pool import Database as Pool
from service.database.pool import Statement
from service.domain import Domain
from service.identity import Identity
from service.lifecycle import Lifecycle
from service.telemetry.metrics import Metrics
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.resource.things import thing_of
from tests.service.routes import declared
from tests.service.serving import Service, settings_for
from tests.service.users import ADA, BOB, CARELESS, GATEWAY, OWNED, OWNERS, ROOT
from tests.waiting import WITHIN

Headers = Mapping[str, str]

ROUTES = [route for route in declared([OWNED]) if route.template.startswith("/things")]
CONDITIONS: Sequence[Headers] = (
    {},
    {"if-match": '"1"'},
    {"if-match": "*"},
    {"if-match": '"7"'},
    {"if-none-match": '"1"'},
    {"if-none-match": "*"},
)


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return (OWNED,)


@pytest.fixture
async def service(start_service: StartService, database: Database) -> Service:
    """The service behind a gateway that names users."""
    await database.execute(OWNERS)
    return await start_service(identity=GATEWAY)


async def create(service: Service, user: Headers, name: str = "Launch", **headers: str) -> httpx.Response:
    response = await service.api.post("/things", json={"name": name}, headers={**user, **headers})
    assert response.status_code == 201, response.text
    return response


async def names(service: Service, user: Headers, query: str = "") -> list[str]:
    response = await service.api.get(f"/things{query}", headers=user)
    assert response.status_code == 200, response.text
    return [thing["name"] for thing in response.json()["items"]]


async def exported(service: Service, user: Headers) -> list[dict[str, object]]:
    response = await service.api.get("/things/export", headers=user)
    return [json.loads(line) for line in response.text.splitlines()]


async def import_(service: Service, user: Headers, *lines: Mapping[str, object]) -> httpx.Response:
    headers = {**user, "content-type": "application/x-ndjson"}
    content = "".join(f"{json.dumps(line)}\n" for line in lines)
    return await service.api.post("/things/import", content=content, headers=headers)


def without_ids(response: httpx.Response, path: str) -> tuple[int, str, list[str]]:
    """What an answer tells: its status, its body and its headers, without the ids that differ in any case."""
    text = response.text.replace(path.rpartition("/")[2], "ID").replace(response.headers["x-request-id"], "REQUEST")
    return response.status_code, text, sorted(set(response.headers) - {"date"})


# One thing.


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_the_thing_of_another_user_is_answered_like_one_that_does_not_exist(
    service: Service, method: str, conditions: Headers
) -> None:
    of_ada, nowhere = (await create(service, ADA)).headers["location"], f"/things/{uuid4()}"
    content = {"name": "taken"} if method == "PUT" else None

    other = await service.api.request(method, of_ada, json=content, headers={**BOB, **conditions})
    missing = await service.api.request(method, nowhere, json=content, headers={**BOB, **conditions})

    assert other.status_code == 404
    assert without_ids(other, of_ada) == without_ids(missing, nowhere)
    assert (await service.api.get(of_ada, headers=ADA)).json()["name"] == "Launch"


async def test_a_user_reads_and_changes_their_own_thing(service: Service) -> None:
    path = (await create(service, ADA)).headers["location"]

    changed = await service.api.put(path, json={"name": "Changed"}, headers={**ADA, "if-match": '"1"'})
    read = await service.api.get(path, headers={**ADA, "if-none-match": changed.headers["etag"]})
    stale = await service.api.delete(path, headers={**ADA, "if-match": '"1"'})
    deleted = await service.api.delete(path, headers=ADA)

    assert [changed.status_code, read.status_code, stale.status_code, deleted.status_code] == [200, 304, 412, 204]


async def test_an_admin_reads_and_changes_everything_and_the_owner_stays(service: Service) -> None:
    path = (await create(service, ADA)).headers["location"]

    assert (await service.api.put(path, json={"name": "Checked"}, headers=ROOT)).status_code == 200

    assert (await service.api.get(path, headers=ADA)).json()["name"] == "Checked"
    assert await names(service, ROOT) == ["Checked"]
    assert await names(service, BOB) == []


async def test_only_an_admin_sees_rows_without_an_owner(service: Service, database: Database) -> None:
    thing_id = await database.fetchval("INSERT INTO app.things (name) VALUES ('old') RETURNING id")

    assert await names(service, ROOT) == ["old"]
    assert await names(service, ADA) == []
    assert (await service.api.get(f"/things/{thing_id}", headers=ADA)).status_code == 404


# Lists.


async def test_each_page_has_only_the_things_of_the_user(service: Service) -> None:
    for number in range(5):
        await create(service, ADA, f"a{number}")
        last = await create(service, BOB, f"b{number}")
    page = (await service.api.get("/things?limit=2", headers=ADA)).json()
    found = page["items"]
    while page["next"]:
        page = (await service.api.get(page["next"], headers=ADA)).json()
        found += page["items"]

    assert [thing["name"] for thing in found] == ["a4", "a3", "a2", "a1", "a0"]
    assert await names(service, ROOT, "?limit=3") == ["b4", "a4", "b3"]
    cursor = urlsafe_b64encode(UUID(last.json()["id"]).bytes).rstrip(b"=").decode()
    assert await names(service, ADA, f"?after={cursor}") == ["a4", "a3", "a2", "a1", "a0"]


# What PostgreSQL enforces.


@pytest.mark.parametrize("statement", CARELESS)
async def test_a_handler_without_a_where_leaks_and_changes_nothing(service: Service, statement: str) -> None:
    of_ada = await create(service, ADA)
    of_bob = await create(service, BOB, "own")

    reached = (await service.api.get(f"/things/careless/{statement}", headers=BOB)).json()["things"]

    assert [thing["id"] for thing in reached] == [of_bob.json()["id"]]
    assert (await service.api.get(of_ada.headers["location"], headers=ADA)).json() == of_ada.json()


async def test_a_statement_that_does_not_say_for_whom_sees_and_stores_nothing(
    service: Service, database: Database
) -> None:
    await create(service, ADA)
    async with database.connection("app_rw") as connection:
        assert await connection.fetch("SELECT FROM things") == []
        assert await connection.fetch("DELETE FROM things RETURNING id") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO things (name) VALUES ('mine')")


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO things (name, owner) VALUES ('for ada', 'ada')", "UPDATE things SET owner = 'ada'"],
)
async def test_a_user_can_give_nothing_to_another_one(service: Service, database: Database, sql: str) -> None:
    await create(service, BOB)
    async with database.connection("app_rw") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"WITH acting AS (SELECT $1::acting_user) {sql}", "-bob")


async def test_the_role_of_the_service_cannot_switch_it_off(service: Service, database: Database) -> None:
    async with database.connection("app_rw") as connection:
        for sql in ("ALTER TABLE things DISABLE ROW LEVEL SECURITY", "DROP POLICY owner ON things"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
        await connection.execute("SET row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT FROM things")


VIEWS_FOR_ALL = """
    WITH RECURSIVE reads AS (
        SELECT ev_class AS view, refobjid AS read FROM pg_rewrite
          JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
         WHERE refclassid = 'pg_class'::regclass AND refobjid <> ev_class
    ), of_owned AS (
        SELECT view FROM reads JOIN pg_policy ON polrelid = read
         UNION SELECT reads.view FROM reads JOIN of_owned ON reads.read = of_owned.view
    )
    SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM of_owned JOIN pg_class ON oid = view
     WHERE NOT coalesce(reloptions && '{security_invoker=true,security_invoker=on}', false)
"""
"""The views that show the rows of all users: those that read owned rows for their owner, not for who asks."""


async def test_no_view_shows_the_rows_of_others(database: Database) -> None:
    """A migration writes CREATE VIEW ... WITH (security_invoker = true). A materialized view cannot be made safe."""
    assert await database.fetchval(VIEWS_FOR_ALL) == ""

    await database.execute(OWNERS)
    await database.execute(
        "CREATE VIEW careful WITH (security_invoker = true) AS SELECT * FROM things;"
        "CREATE VIEW careless AS SELECT * FROM things;"
        "CREATE VIEW further AS SELECT * FROM careful;"
        "CREATE MATERIALIZED VIEW stored AS SELECT * FROM things"
    )
    assert await database.fetchval(VIEWS_FOR_ALL) == "careless further stored"


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    settings = settings_for(database, pool_size=1)
    pool = Pool(settings, Metrics(settings, Lifecycle()))
    await pool.open()
    yield pool
    await pool.close()


async def test_a_connection_keeps_no_user(pool: Pool, database: Database) -> None:
    """Not after a statement, one that fails or is cancelled, and not after a transaction, even one that is left."""
    await database.execute(OWNERS)
    await database.execute("INSERT INTO things (name, owner) VALUES ('of ada', 'ada'), ('of bob', 'bob')")
    read, fail = Statement("read", "SELECT name FROM things"), Statement("fail", "SELECT 1 / 0 FROM things")
    sleep = Statement("sleep", "SELECT pg_sleep(60) FROM things LIMIT 1")

    async def read_as(user: Identity | None) -> list[str]:
        token = identity.acting.set(user)
        try:
            async with pool.connection() as connection:
                return [row["name"] for row in await connection.fetch(read)]
        finally:
            identity.acting.reset(token)

    assert await read_as(Identity("ada")) == ["of ada"]
    assert await read_as(None) == []
    token = identity.acting.set(identity.EVERYONE)
    async with pool.connection() as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetch(fail)
    identity.acting.reset(token)
    assert await read_as(None) == []
    token = identity.acting.set(identity.EVERYONE)
    async with pool.connection() as connection, connection.bulk(readonly=True):
        assert [len(rows) async for rows in connection.batches(read, size=1)] == [1, 1]
    async with pool.connection() as connection, connection.bulk(readonly=True):
        batches = connection.batches(read, size=1)
        assert len(await anext(batches)) == 1
        await batches.aclose()
    with suppress(ZeroDivisionError):
        async with pool.connection() as connection, connection.bulk(readonly=False):
            await connection.fetch(read)
            raise ZeroDivisionError

    async def asleep() -> None:
        async with pool.connection() as connection:
            await connection.fetch(sleep)

    sleeping = asyncio.create_task(asleep())
    await database.until(1, "query LIKE '%pg_sleep(60)%' AND state = 'active'")
    sleeping.cancel()
    with suppress(asyncio.CancelledError):
        await sleeping
    identity.acting.reset(token)
    assert await read_as(None) == []
    assert await read_as(Identity("bob")) == ["of bob"]


@pytest.mark.parametrize("user", ["+", "+ada", "*", "'; DROP TABLE things; --", "x" * 255])
async def test_a_user_with_a_strange_name_is_only_themselves(service: Service, user: str) -> None:
    strange = {"x-user": user.replace(" ", "_")}
    await create(service, ADA, "of ada")
    await create(service, strange, "own")

    assert await names(service, strange) == ["own"]
    assert await names(service, ADA) == ["of ada"]


async def test_statements_go_on_after_a_restore(service: Service, database: Database) -> None:
    """It makes the type of the user anew, and prepared statements know the number of the old one."""
    path = (await create(service, ADA)).headers["location"]
    assert len(await exported(service, ADA)) == 1
    check = await database.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid = 'app.acting_user'::regtype"
    )
    await database.execute(f"DROP DOMAIN acting_user; CREATE DOMAIN acting_user AS text {check}")

    problem_of(await service.api.get("/things/export", headers=ADA), 503)  # its transaction has failed
    for _ in range(2):
        assert (await service.api.get(path, headers=ADA)).status_code == 200
        assert await names(service, BOB) == []
        assert len(await exported(service, ADA)) == 1


# Without a user.


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-user", "")],
        [("x-user", "ada"), ("x-user", "root")],
        [("x-user", "ada"), ("x-user-roles", "reader"), ("x-user-roles", "admin")],
        [("x-user", "ada lovelace")],
        [("x-user", "x" * 256)],
        [("x-user-roles", "admin")],
        [("x_user", "ada"), ("x_user_roles", "admin")],
        [("cookie", "x-user=ada; access_token=ada")],
        [("authorization", "Bearer forged")],
    ],
    ids=str,
)
async def test_without_a_user_each_route_is_refused(service: Service, headers: list[tuple[str, str]]) -> None:
    for route in ROUTES:
        response = await service.api.request(route.method, route.path(), headers=headers)

        problem_of(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"


# Idempotency-Keys.


async def test_the_same_key_of_two_users_creates_two_things(service: Service) -> None:
    of_ada = await create(service, ADA, "secret", **{"idempotency-key": "once"})
    of_bob = await create(service, BOB, "own", **{"idempotency-key": "once"})
    again = await create(service, ADA, "secret", **{"idempotency-key": "once"})

    assert "idempotency-replayed" not in of_bob.headers
    assert of_bob.json()["name"] == "own"
    assert again.json() == of_ada.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert await names(service, ROOT) == ["own", "secret"]


# Import and export.


async def test_an_import_belongs_to_the_user_and_an_export_has_only_their_own(service: Service) -> None:
    lines = [{"name": f"a{number}"} for number in range(1000)]
    assert (await import_(service, ADA, *lines)).json() == {"imported": 1000}
    assert (await import_(service, BOB, {"name": "b"})).json() == {"imported": 1}

    assert {line["name"] for line in await exported(service, ADA)} == {line["name"] for line in lines}
    assert [line["name"] for line in await exported(service, BOB)] == ["b"]
    assert len(await exported(service, ROOT)) == 1001
    moved = [{key: line[key] for key in ("id", "name", "version")} for line in await exported(service, BOB)]
    await service.api.delete(f"/things/{moved[0]['id']}", headers=BOB)
    assert (await import_(service, BOB, *moved)).json() == {"imported": 1}


async def test_an_import_replaces_no_thing_of_another_user(service: Service) -> None:
    of_ada = (await create(service, ADA)).json()

    response = await import_(service, BOB, {"name": "new"}, {"name": "taken", "id": of_ada["id"]})

    assert problem_of(response, 409)["detail"].startswith("line 2: a thing with this id exists; nothing was imported")
    assert await names(service, ROOT) == ["Launch"]


@pytest.mark.parametrize("first", [1, 150, 350])
async def test_an_id_that_comes_twice_is_named_by_its_second_line(service: Service, first: int) -> None:
    lines: list[dict[str, object]] = [{"name": "new", "id": str(uuid4())} for _ in range(400)]
    lines.append(lines[first - 1])

    response = await import_(service, ADA, *lines)

    assert problem_of(response, 409)["detail"].startswith("line 401: ")
    assert await names(service, ROOT) == []


async def test_a_rule_that_a_line_contradicts_is_named(service: Service, database: Database) -> None:
    await database.execute("ALTER TABLE things ADD CONSTRAINT things_are_short CHECK (char_length(name) < 5)")

    response = await import_(service, ADA, *[{"name": "new"}] * 250, {"name": "Launch"})

    detail = problem_of(response, 409)["detail"]
    assert detail.startswith("one of the lines 201 to 251: contradicts the rule things_are_short; nothing was")
    assert await names(service, ADA) == []


# Events.


async def test_each_subscriber_gets_only_the_events_of_things_that_they_may_see(service: Service) -> None:
    async with (
        service.subscribe(headers=ADA) as ada,
        service.subscribe(headers=BOB) as bob,
        service.subscribe(headers=ROOT) as root,
    ):
        secret = (await create(service, ADA)).json()["id"]
        await service.api.put(f"/things/{secret}", json={"name": "Changed"}, headers=ROOT)
        await service.api.delete(f"/things/{secret}", headers=ADA)
        own = (await create(service, BOB)).json()["id"]

        of_ada, of_bob, of_root = await ada.events(3), await bob.event(), await root.events(4)

    assert [(event.event, thing_of(event)) for event in of_ada] == [
        ("created", secret),
        ("updated", secret),
        ("deleted", secret),
    ]
    assert thing_of(of_bob) == own, "the events before are not this user's"
    assert [thing_of(event) for event in of_root] == [secret, secret, secret, own]


async def test_the_event_id_of_another_user_resumes_only_at_a_position(
    service: Service, start_service: StartService
) -> None:
    """From the memory of the process, and from the table if another process has to answer."""
    async with service.subscribe(headers=ADA) as ada:
        await create(service, ADA)
        first = await ada.event()
    await create(service, ADA)
    own = (await create(service, BOB)).json()["id"]
    other = await start_service(identity=GATEWAY)

    for replica in (service, other):
        async with replica.subscribe(last_event_id=first.id, headers=BOB) as resumed:
            assert thing_of(await resumed.event()) == own


async def test_only_the_owner_of_many_changed_rows_is_told_to_read_them_again(service: Service) -> None:
    async with service.subscribe(headers=ADA) as ada, service.subscribe(headers=BOB) as bob:
        await import_(service, ADA, *[{"name": "new"}] * 400)
        own = (await create(service, BOB)).json()["id"]
        last = (await create(service, ADA)).json()["id"]

        reset, created = await ada.events(2)
        of_bob = await bob.event()

    assert (reset.event, thing_of(created)) == ("reset", last), "all batches of an import are one reset"
    assert thing_of(of_bob) == own


async def test_all_users_are_told_to_read_again_after_a_restore(service: Service, database: Database) -> None:
    async with service.subscribe(headers=ADA) as ada:
        await database.execute("SELECT reset_events()")

        assert (await ada.event()).event == "reset"


async def test_a_heartbeat_moves_the_position_of_who_sees_no_event(
    start_service: StartService, database: Database
) -> None:
    await database.execute(OWNERS)
    service = await start_service(identity=GATEWAY, heartbeat=0.2)
    async with service.subscribe(headers=BOB) as bob, service.subscribe(headers=ADA) as ada:
        start = await bob.block()
        await create(service, ADA)
        event = await ada.event()
        async with asyncio.timeout(WITHIN):  # for all blocks together: heartbeats never end
            while (block := await bob.block()) is not None and block.id is None:
                assert block.comment == "heartbeat"

    assert start is not None
    assert block is not None
    assert block.event is None
    assert block.id == event.id != start.id


async def test_a_notification_tells_only_that_there_is_an_event(service: Service, database: Database) -> None:
    """Every connection of the role hears it."""
    heard = asyncio.Queue[object]()
    async with database.connection("app_rw") as connection:
        await connection.add_listener("events", lambda _connection, _process, _channel, text: heard.put_nowait(text))
        await create(service, ADA, "secret")
        async with asyncio.timeout(WITHIN):
            assert await heard.get() == "things"


# Rehearsals.


async def test_a_request_is_rehearsed_for_its_own_user(
    start_service: StartService, database: Database, tmp_path: Path
) -> None:
    await database.execute(OWNERS)
    service = await start_service(identity=GATEWAY, rehearsal_socket=str(tmp_path / "socket"))
    path = (await create(service, ADA)).headers["location"]
    for user in (ADA, BOB):
        await service.api.get(path, headers=user)
    await service.api.get("/things/careless/remove", headers=BOB)
    rehearsal = service.application.rehearsal
    assert rehearsal is not None

    answers = {
        (request.raw_path, dict(request.headers).get("x-user")): (await rehearsal._player.play(request)).status
        for request in rehearsal.recorder.requests
    }

    assert answers == {
        ("/things", "ada"): 201,
        (path, "ada"): 200,
        (path, "bob"): 404,
        ("/things/careless/remove", "bob"): 200,
    }
    assert (await service.api.get(path, headers=ADA)).status_code == 200


# Without identities.


async def test_without_identities_everyone_sees_everything(start_service: StartService, database: Database) -> None:
    await database.execute(OWNERS)
    await database.execute("INSERT INTO things (name, owner) VALUES ('of ada', 'ada')")
    service = await start_service()

    async with service.subscribe() as subscriber:
        created = await create(service, BOB, "free")  # the header means nothing
        assert thing_of(await subscriber.event()) == created.json()["id"]

    assert await names(service, {}) == ["free", "of ada"]
    assert (await import_(service, {}, {"name": "imported"})).json() == {"imported": 1}
    assert len(await exported(service, {})) == 3
    assert await database.fetchval("SELECT count(*) FROM app.things WHERE owner IS NULL") == 2
