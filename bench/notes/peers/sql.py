"""The SQL statements of all peers, the same as those of the service, with asyncpg's parameter style."""

_COLUMNS = "id, title, body, version, created_at, updated_at"

GET = f"SELECT {_COLUMNS} FROM notes WHERE id = $1"  # noqa: S608 - a constant
PAGE = f"SELECT {_COLUMNS} FROM notes ORDER BY id DESC LIMIT $1"  # noqa: S608 - a constant
CREATE = f"INSERT INTO notes (title, body) VALUES ($1, $2) RETURNING {_COLUMNS}"  # noqa: S608 - a constant
