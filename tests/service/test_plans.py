"""No statement that runs again and again reads a whole table, however large that has become."""

from service.database.pool import Statement
from service.notes import queries
from tests.service.databases import Connection, Database

FILL = """
    INSERT INTO app.notes (title, body) SELECT 'note ' || n, '' FROM generate_series(1, 20000) AS n;
    INSERT INTO app.note_events (tx, kind) SELECT n, 'reset' FROM generate_series(1, 20000) AS n;
    INSERT INTO app.idempotency_keys SELECT n, '', '{}' FROM generate_series(1, 20000) AS n;
    ANALYZE app.notes, app.note_events, app.idempotency_keys;
    SET plan_cache_mode = force_generic_plan
"""
READS_ALL = {queries.EXPORT}
IS_NO_QUERY = {queries.IMPORT}


async def plan(connection: Connection, statement: Statement) -> str:
    """The one that serves any parameters, which is what PostgreSQL chooses after a while."""
    parameters = (await connection.prepare(statement.sql)).get_parameters()
    given = f"({', '.join('NULL' for _ in parameters)})" if parameters else ""
    await connection.execute(f"PREPARE asked AS {statement.sql}")
    rows = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE asked{given}")
    await connection.execute("DEALLOCATE asked")
    return "\n".join(row[0] for row in rows)


async def test_every_statement_finds_what_it_needs_by_an_index(database: Database) -> None:
    statements = {value for value in vars(queries).values() if isinstance(value, Statement)} - IS_NO_QUERY
    assert len(statements) > 10
    async with database.connection("app_owner") as connection:
        await connection.execute(FILL)
        plans = {statement: await plan(connection, statement) for statement in statements}

    reading_all = {
        statement
        for statement, text in plans.items()
        for table in ("notes", "note_events", "idempotency_keys")
        if f"Seq Scan on {table}\n" in f"{text}\n"
    }
    assert reading_all <= READS_ALL, "\n\n".join(plans[statement] for statement in reading_all)
