"""Passwords from files: the service reads them for each new connection, so that they can change while it runs."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.migrate.apply import run
from service.migrate.files import MigrationError
from service.settings import Settings
from tests.service.databases import Database, postgres_server
from tests.service.problems import problem_of
from tests.service.serving import Service, serving, settings_for
from tests.waiting import eventually
from workbench.parts.pgdata import NOT_DURABLE
from workbench.parts.postgres import SUPERUSER, Postgres

OLD, NEW = "app-rw-password", "app-rw-password-next"


@pytest.fixture(scope="module")
async def guarded(new_data: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """A server that asks app_rw, and app_owner over a database `guarded`, for a password."""
    rules = tmp_path_factory.mktemp("hba") / "pg_hba.conf"
    rules.write_text("local app app_rw scram-sha-256\nlocal guarded app_owner scram-sha-256\nlocal all all trust\n")
    rules.parent.chmod(0o755)
    async with postgres_server(new_data(), {**NOT_DURABLE, "hba_file": str(rules)}) as server:
        yield server


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of the Secret, in which only the valid password is, as always except while it changes."""
    (tmp_path / OLD).write_text("old password\n")
    return tmp_path


@pytest.fixture
async def changing(guarded: Postgres, secrets: Path) -> AsyncIterator[Service]:
    await set_password(guarded, "old password")
    settings = settings_for(Database(guarded), database_password_files=(secrets / OLD, secrets / NEW))
    async with serving(settings) as service:
        await service.ready()
        yield service


async def set_password(server: Postgres, password: str) -> None:
    await Database(server, "postgres").as_superuser(f"ALTER ROLE app_rw PASSWORD '{password}'")


async def reconnect(server: Postgres) -> None:
    """The service loses its connections, and has to open new ones."""
    async with Database(server).connection(SUPERUSER) as superuser:
        await superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'")


async def answers(service: Service) -> bool:
    """The first request after a loss gets 503: its connection broke."""
    return (await service.api.get("/things")).status_code == 200


async def test_a_password_changes_while_the_service_runs(guarded: Postgres, changing: Service, secrets: Path) -> None:
    (secrets / NEW).write_text("new password")  # 1. the service gets it
    await reconnect(guarded)
    await eventually(lambda: answers(changing), "connections with the old password")

    await set_password(guarded, "new password")  # 2. it is valid
    await reconnect(guarded)
    await eventually(lambda: answers(changing), "connections with the next password")
    await changing.ready()

    (secrets / NEW).rename(secrets / OLD)  # 3. it is the only one
    await reconnect(guarded)
    await eventually(lambda: answers(changing), "connections with the new password")
    await changing.ready()


async def test_a_wrong_password_is_an_outage_that_a_right_one_ends(
    guarded: Postgres, changing: Service, secrets: Path
) -> None:
    (secrets / OLD).write_text("wrong")
    (secrets / NEW).write_text("wrong too")
    await reconnect(guarded)
    await changing.unready()
    problem_of(await changing.api.get("/things"), 503)
    checks = (await changing.ops.get("/readyz")).json()["checks"]
    assert "password authentication failed" in checks["database"]["detail"]

    (secrets / NEW).write_text("old password")
    await changing.ready()
    assert await answers(changing)


async def test_without_any_file_the_check_says_which_are_missing(
    guarded: Postgres, changing: Service, secrets: Path
) -> None:
    (secrets / OLD).unlink()
    await reconnect(guarded)
    await changing.unready()

    checks = (await changing.ops.get("/readyz")).json()["checks"]
    assert (
        checks["database"]["detail"] == f"no answer: no password: there is no file {secrets / OLD} or {secrets / NEW}"
    )


async def test_migrations_read_the_passwords_of_their_role(guarded: Postgres, tmp_path: Path) -> None:
    await Database(guarded, "postgres").as_superuser("CREATE DATABASE guarded OWNER app_owner")
    await Database(guarded, "postgres").as_superuser("ALTER ROLE app_owner PASSWORD 'old password'")
    old, new = tmp_path / "old", tmp_path / "new"
    settings = Settings.model_validate(
        {
            "database_owner_url": Database(guarded, "guarded").url("app_owner"),
            "database_owner_password_files": f"{old},{new}",
        }
    )
    old.write_text("an older password")
    with pytest.raises(MigrationError, match="password authentication failed"):
        await run(settings, tmp_path)

    new.write_text("old password")
    await run(settings, tmp_path)
