"""How many services begin: Flask, with a psycopg2 connection for each request and without metrics."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import psycopg2
from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue
from psycopg2.extras import RealDictCursor

from bench.notes.peers import sql

app = Flask(__name__)


@contextmanager
def cursor() -> Iterator[Any]:
    with (
        closing(psycopg2.connect(os.environ["DATABASE_URL"])) as connection,
        connection,
        connection.cursor(cursor_factory=RealDictCursor) as cursor,
    ):
        yield cursor


def note(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: row[name].isoformat() for name in ("created_at", "updated_at")}


@app.get("/")
def root() -> ResponseReturnValue:
    return jsonify(service="flask")


@app.get("/notes/<uuid:note_id>")
def get(note_id: UUID) -> ResponseReturnValue:
    with cursor() as database:
        database.execute(sql.GET.replace("$1", "%s"), (str(note_id),))
        row = database.fetchone()
    if row is None:
        abort(404)
    return jsonify(note(row))


@app.get("/notes")
def page() -> ResponseReturnValue:
    limit = int(request.args.get("limit", 20))
    with cursor() as database:
        database.execute(sql.PAGE.replace("$1", "%s"), (limit + 1,))
        rows = database.fetchall()
    items = [note(row) for row in rows[:limit]]
    return jsonify(items=items, next=f"/notes?after={items[-1]['id']}" if len(rows) > limit else None)


@app.post("/notes")
def create() -> ResponseReturnValue:
    content = request.get_json()
    with cursor() as database:
        statement = sql.CREATE.replace("$1", "%s").replace("$2", "%s")
        database.execute(statement, (content["title"], content.get("body", "")))
        row = database.fetchone()
    return jsonify(note(row)), 201, {"location": f"/notes/{row['id']}"}
