"""Rows that belong to users: a migration calls `own_rows(table)`, and the domain declares `owned=True`.

PostgreSQL then shows each user their own rows, whatever a statement says. What is here is for statements that read
many rows, so that they too find them by an index.
"""

WHOSE = "{whose}"


def by_owner(select: str) -> str:
    """A SELECT for both cases: of all rows, or of those of one user, by the index on `(owner, id)`.

    It has WHOSE as a condition: `SELECT ... WHERE {whose} AND id < $2 ORDER BY id DESC LIMIT $1`. PostgreSQL executes
    only one of the two, so its order is that of the result.
    """
    own = select.replace(WHOSE, "NOT sees_all() AND owner = acting()")
    return f"({own}) UNION ALL ({select.replace(WHOSE, 'sees_all()')})"
