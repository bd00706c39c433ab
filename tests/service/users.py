"""Users as the gateway names them, and the probe domain with things that belong to users."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from json import dumps

from quart import Blueprint

from service.database.pool import Statement
from service.domain import Built, Domain, Machinery
from service.web.answer import Answer, json
from service.web.endpoint import endpoint
from tests.probe import things

GATEWAY = "gateway"
OWNERS = "SELECT own_rows('things')"
"""The migration of owned things."""


def roles(*names: str) -> str:
    """The header `x-user-roles`, as the gateway writes it."""
    return urlsafe_b64encode(dumps(names).encode()).decode()


ADA = {"x-user": "ada"}
BOB = {"x-user": "bob", "x-user-roles": roles("reader", "writer")}
ROOT = {"x-user": "root", "x-user-roles": roles("reader", "admin")}

CARELESS = {
    "read": Statement("careless_read", "SELECT id, name FROM things"),
    "find": Statement("careless_find", "WITH found AS (SELECT * FROM things) SELECT id, name FROM found"),
    "change": Statement("careless_change", "UPDATE things SET name = 'taken' RETURNING id, name"),
    "remove": Statement("careless_remove", "DELETE FROM things RETURNING id, name"),
}
"""Statements whose author has forgotten that things have owners, and the WHERE."""


def _build(machinery: Machinery) -> Built:
    built = things.DOMAIN.build(machinery)
    _add_careless(built.blueprint, machinery)
    return built


def _add_careless(routes: Blueprint, machinery: Machinery) -> None:
    @routes.get("/careless/<statement>")
    @endpoint()
    async def careless(statement: str) -> Answer:
        async with machinery.database.connection() as connection:
            return json({"things": [dict(row) for row in await connection.fetch(CARELESS[statement])]})


OWNED: Domain = replace(things.DOMAIN, build=_build, owned=True)
"""The things of users, and a route for each careless statement: `GET /things/careless/read`."""
