"""An attacker with the service's database role can read and write rows of the application, and nothing else."""

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.faults.site import Site

Connection = asyncpg.Connection


OWNED = "CREATE FUNCTION owned() RETURNS int LANGUAGE sql AS 'SELECT 1'"


@pytest.fixture(scope="module", autouse=True)
async def function(workbench: Site) -> AsyncIterator[None]:
    """A function of the owner of the schema, which the role may call but not change."""
    owner = await asyncpg.connect(workbench.stack.postgres.url("app_owner"))
    await owner.execute(OWNED)
    yield
    await owner.execute("DROP FUNCTION owned()")
    await owner.close()


@pytest.fixture
async def role(workbench: Site) -> "AsyncIterator[Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(workbench.stack.postgres.url("app_rw"))
    try:
        yield connection
    finally:
        await connection.close()


FORBIDDEN = [
    # The schema.
    "CREATE TABLE mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE DATABASE mine",
    "CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER FUNCTION app.owned() RENAME TO mine",
    "CREATE INDEX ON things (name)",
    "ALTER TABLE things ADD COLUMN mine int",
    "ALTER TABLE things DISABLE TRIGGER ALL",
    "ALTER TABLE things OWNER TO app_rw",
    "DROP TABLE things",
    "DROP SCHEMA app CASCADE",
    "TRUNCATE things",
    "COMMENT ON TABLE things IS 'mine'",
    "REINDEX TABLE things",
    # The history of migrations, which the role may read.
    "INSERT INTO schema_migrations SELECT * FROM schema_migrations",
    "UPDATE schema_migrations SET version = 99",
    "DELETE FROM schema_migrations",
    # Other roles, and more privileges for itself.
    "SELECT * FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "CREATE ROLE mine",
    "ALTER ROLE app_rw SUPERUSER",
    "ALTER ROLE app_rw CONNECTION LIMIT -1",
    "ALTER ROLE app_owner PASSWORD 'mine'",
    "GRANT app_owner TO app_rw",
    "GRANT pg_read_server_files TO app_rw",
    "SET ROLE app_owner",
    "SET SESSION AUTHORIZATION postgres",
    "REASSIGN OWNED BY app_owner TO app_rw",
    # The server, its files and its machine.
    "COPY things TO PROGRAM 'true'",
    "COPY things FROM PROGRAM 'echo'",
    "COPY things TO '/tmp/things'",
    "COPY things FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_physical_replication_slot('mine')",
    "ALTER SYSTEM SET log_statement = 'all'",
    "LOAD 'auto_explain'",
    "SET log_statement = 'all'",
    "SET session_replication_role = replica",
    "CREATE FOREIGN DATA WRAPPER mine",
    "CREATE SUBSCRIPTION mine CONNECTION '' PUBLICATION mine",
    "CREATE TABLESPACE mine LOCATION '/tmp'",
    "CHECKPOINT",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IS DISTINCT FROM current_user",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
async def test_a_forbidden_statement_is_refused(role: "Connection[asyncpg.Record]", sql: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidObjectDefinitionError)):
        await role.execute(sql)


async def test_the_role_only_has_four_privileges(role: "Connection[asyncpg.Record]") -> None:
    granted = await role.fetch(
        """
        SELECT table_name, array_agg(privilege_type::text ORDER BY privilege_type) AS verbs
          FROM information_schema.role_table_grants
         WHERE grantee IN ('app_rw', 'PUBLIC') AND table_schema NOT IN ('pg_catalog', 'information_schema')
         GROUP BY table_name
        """
    )

    verbs = {row["table_name"]: row["verbs"] for row in granted}
    assert verbs.pop("schema_migrations") == ["SELECT"]
    assert {"things", "events", "idempotency_keys"} <= verbs.keys()
    assert all(each == ["DELETE", "INSERT", "SELECT", "UPDATE"] for each in verbs.values())
    owned = await role.fetchval("SELECT count(*) FROM pg_class WHERE relowner = 'app_rw'::regrole")
    assert owned == 0


async def test_the_role_has_no_attributes_and_no_memberships(role: "Connection[asyncpg.Record]") -> None:
    row = await role.fetchrow(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles "
        "WHERE rolname = 'app_rw'"
    )
    assert row is not None
    assert not any(row.values())
    assert await role.fetchval("SELECT count(*) FROM pg_auth_members WHERE member = 'app_rw'::regrole") == 0


@pytest.mark.parametrize("database", ["postgres", "template1"])
async def test_the_role_cannot_connect_to_other_databases(workbench: Site, database: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(workbench.stack.postgres.url("app_rw", database))


async def test_sessions_of_the_role_have_limits(role: "Connection[asyncpg.Record]") -> None:
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        assert await role.fetchval("SELECT current_setting($1)", limit) not in {"0", ""}, limit
    assert await role.fetchval("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'app_rw'") > 0


async def test_the_role_metrics_only_reads_statistics(workbench: Site) -> None:
    connection = await asyncpg.connect(workbench.stack.postgres.url("metrics"))
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_activity") > 0
        for sql in ("SELECT * FROM app.things", "SELECT * FROM app.idempotency_keys", "SELECT * FROM pg_authid"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("CREATE TABLE public.mine (id int)")
    finally:
        await connection.close()


def test_the_folder_of_the_socket_is_private(workbench: Site) -> None:
    """PostgreSQL asks for no password in the workbench, so only the workbench's user may reach the socket."""
    assert os.stat(workbench.stack.postgres.sockets).st_mode & 0o077 == 0
