"""No statement of any domain reads a whole table, however large the table has become."""

import pkgutil
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType

import pytest

from service.database.pool import Statement
from service.domain import Domain
from tests.probe import things
from tests.service.databases import Connection, Database
from tests.service.routes import ALL_DOMAINS

ROWS = 20_000
EXPORT = "_export"
"""The end of the name of a statement that reads everything on purpose."""

COLUMNS = """
    SELECT relname AS table, array_agg(attname ORDER BY attnum) AS names,
           array_agg(format_type(atttypid, NULL) ORDER BY attnum) AS types
      FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
     WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' AND relname <> 'schema_migrations'
       AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
     GROUP BY relname
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text AS table, conname AS name FROM pg_constraint
     WHERE connamespace = 'app'::regnamespace AND contype IN ('c', 'f') AND conrelid <> 0  -- 0: of a domain
"""
VALUES = {
    "bigint": "n",
    "boolean": "n % 2 = 0",
    "bytea": "decode(lpad(to_hex(n), 8, '0'), 'hex')",
    "date": "current_date - n",
    "integer": "n",
    "jsonb": "'{}'",
    "numeric": "n",
    "smallint": "n % 1000",
    "text": "'x' || n",
    "timestamp with time zone": "now() - n * interval '1 second'",
    "uuid": "uuidv7()",
}
"""For row n, by type; most are different in each row. Columns of other types are NULL."""


async def fill(connection: Connection) -> set[str]:
    """Puts ROWS rows into each table; returns the names of those that can hold as many."""
    for constraint in await connection.fetch(CONSTRAINTS):
        await connection.execute(f'ALTER TABLE {constraint["table"]} DROP CONSTRAINT "{constraint["name"]}"')
    filled = set()
    for table, names, types in await connection.fetch(COLUMNS):
        values = [VALUES.get(type_, "NULL") for type_ in types]
        for name, value in zip(names, values, strict=True):
            if value == "NULL":
                await connection.execute(f'ALTER TABLE {table} ALTER "{name}" DROP NOT NULL')
        await connection.execute(
            f"ALTER TABLE {table} DISABLE TRIGGER USER;"  # noqa: S608 - the names come from the catalog
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"
            f"  FROM generate_series(1, {ROWS}) AS n ON CONFLICT DO NOTHING;"
            f"ANALYZE {table}"
        )
        if await connection.fetchval(f"SELECT count(*) FROM {table}") == ROWS:  # noqa: S608 - as above
            filled.add(table)
    return filled


def package_of(domain: Domain) -> str:
    """The name of the package, or of the only module, of a domain."""
    return domain.build.__module__


def statements_of(name: str) -> set[Statement]:
    """The statements that are constants in the modules of a package, or in a module."""
    package = import_module(name)
    modules = [package, *_submodules(package)]
    return {value for module in modules for value in vars(module).values() if isinstance(value, Statement)}


def _submodules(package: ModuleType) -> list[ModuleType]:
    """All modules of a package; none if the domain is a single module."""
    path = getattr(package, "__path__", [])
    return [import_module(module.name) for module in pkgutil.walk_packages(path, f"{package.__name__}.")]


async def reading_all(database: Database, statements: Iterable[Statement]) -> dict[str, str]:
    """The plans in which a statement reads a large table from its begin to its end, by the statement's name."""
    async with database.connection() as owner:
        tables = await fill(owner)
    async with database.connection("app_rw") as connection:  # for whom row-level security is a part of the plan
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        plans = [(statement.name, await plan(connection, statement)) for statement in statements]
    return {name: text for name, text in plans if any(f"Seq Scan on {table}\n" in f"{text}\n" for table in tables)}


async def plan(connection: Connection, statement: Statement, options: str = "COSTS OFF") -> str:
    """The plan for all parameters, which PostgreSQL chooses after a few executions."""
    parameters = (await connection.prepare(statement.sql)).get_parameters()
    given = f"({', '.join('NULL' for _ in parameters)})" if parameters else ""
    await connection.execute(f"PREPARE asked AS {statement.sql}")
    rows = await connection.fetch(f"EXPLAIN ({options}) EXECUTE asked{given}")
    await connection.execute("DEALLOCATE asked")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("package", ["service.resource", *map(package_of, ALL_DOMAINS)])
async def test_every_statement_finds_its_rows_by_an_index(database: Database, package: str) -> None:
    statements = [statement for statement in statements_of(package) if not statement.name.endswith(EXPORT)]

    assert await reading_all(database, statements) == {}


@pytest.mark.parametrize("package", [*map(package_of, ALL_DOMAINS)])
async def test_the_first_line_of_an_export_does_not_wait_for_the_last(database: Database, package: str) -> None:
    sorts = re.compile(r"(?m)^ *(?:-> +)?Sort\b.*\n +Output: (.*)")
    async with database.connection("app_rw") as connection:
        await connection.execute("SET enable_indexscan = off")  # as for a table of a few thousand rows
        for statement in statements_of(package):
            if statement.name.endswith(EXPORT):
                found = await plan(connection, statement, "COSTS OFF, VERBOSE")
                assert not [columns for columns in sorts.findall(found) if "json" in columns], found


# asyncpg asks about others on each new connection, in a query that takes longer than most statements.
@pytest.mark.parametrize("package", ["service.resource", package_of(things.DOMAIN)])
async def test_no_connection_has_to_learn_a_type(database: Database, package: str) -> None:
    async with database.connection("app_rw") as connection:
        for statement in statements_of(package):
            prepared = await connection.prepare(statement.sql)
            types = [*prepared.get_parameters(), *(column.type for column in prepared.get_attributes())]
            assert {(of.schema, of.kind) for of in types} == {("pg_catalog", "scalar")}, statement.name


async def test_a_statement_that_reads_all_is_found(database: Database) -> None:
    mistake = Statement("thing_by_name", "SELECT id FROM things WHERE name = $1")

    assert (await reading_all(database, [mistake, things.GET, things.LIST_FIRST])).keys() == {"thing_by_name"}


def test_all_statements_of_a_domain_are_found() -> None:
    expected: Sequence[Statement] = (
        things.CREATE_WITH_KEY,
        things.GET,
        things.LIST_AFTER,
        things.REPLACE,
        things.DELETE,
    )

    assert statements_of(package_of(things.DOMAIN)) >= {*expected, things.EXPORT}
