"""The SQL on notes. A statement's name is its label in metrics and the name of its spans."""

from service.database.pool import Statement
from service.resource.idempotency import with_key
from service.resource.owners import WHOSE, by_owner

GET = Statement(
    "note_get",
    "SELECT id, title, body, version, created_at, updated_at FROM notes WHERE id = $1",
)

CREATE = Statement(
    "note_create",
    """
    INSERT INTO notes (title, body) VALUES ($1, $2)
    RETURNING id, title, body, version, created_at, updated_at
    """,
)

CREATE_WITH_KEY = with_key(CREATE)

REPLACE = Statement(
    "note_replace",
    """
    UPDATE notes SET title = $2, body = $3, version = version + 1, updated_at = now()
     WHERE id = $1 AND ($4::text IS NULL OR version <@ $4::int8multirange)
    RETURNING id, title, body, version, created_at, updated_at
    """,
)

DELETE = Statement(
    "note_delete",
    "DELETE FROM notes WHERE id = $1 AND ($2::text IS NULL OR version <@ $2::int8multirange) RETURNING id",
)

_FIELDS = "id, title, body, version, created_at, updated_at"
# Keyset pagination: each page is one range of an index, so a late page costs as much as the first one.
LIST_FIRST = Statement(
    "note_list",
    by_owner(f"SELECT {_FIELDS} FROM notes WHERE {WHOSE} ORDER BY id DESC LIMIT $1"),
)
LIST_AFTER = Statement(
    "note_list",
    by_owner(f"SELECT {_FIELDS} FROM notes WHERE {WHOSE} AND id < $2 ORDER BY id DESC LIMIT $1"),
)
# PostgreSQL cannot estimate how rare a word is: it may scan the whole primary key for a rare word, or collect all
# notes with a common word from the index. So `newest` searches a fixed number of the newest notes first. If they do
# not fill the page, and there are others, the word is rare, and `indexed` gets all its notes from the index. The
# SELECT around websearch_to_tsquery makes PostgreSQL evaluate it once; a generic plan would do so for each of the
# newest notes.
_SEARCH = """
    WITH newest AS MATERIALIZED (
        SELECT id, title, body, version, created_at, updated_at
          FROM ({newest}) AS newest
         WHERE search @@ (SELECT websearch_to_tsquery('english', $2))
         ORDER BY id DESC LIMIT $1
    ), counted AS MATERIALIZED (
        SELECT count(*) < $1 AND EXISTS ({others}) AS too_few FROM newest
    ), indexed AS MATERIALIZED (
        SELECT id, title, body, version, created_at, updated_at
          FROM notes
         WHERE id IN (SELECT notes_with((SELECT websearch_to_tsquery('english', $2)))) {older}
           AND (SELECT too_few FROM counted)
    )
    SELECT * FROM newest WHERE NOT (SELECT too_few FROM counted)
     UNION ALL
    SELECT * FROM indexed
     ORDER BY id DESC LIMIT $1
"""


def _search(older: str) -> Statement:
    own = f"FROM notes WHERE {WHOSE} {older} ORDER BY id DESC"
    newest, others = by_owner(f"SELECT * {own} LIMIT 2000"), by_owner(f"SELECT id {own} OFFSET 2000 LIMIT 1")
    return Statement("note_search", _SEARCH.format(newest=newest, others=others, older=older))


SEARCH_FIRST = _search("")
SEARCH_AFTER = _search("AND id < $3")

# PostgreSQL writes the JSON: an export can have millions of lines, and this is the fastest way to make them. The
# order is that of the subquery: otherwise PostgreSQL may make and sort the JSON of all rows before it returns any.
EXPORT = Statement(
    "note_export",
    f"""
    SELECT json_build_object(
               'id', id, 'title', title, 'body', body, 'version', version,
               'created_at', json_time(created_at), 'updated_at', json_time(updated_at)
           )::text AS line
      FROM ({by_owner("SELECT * FROM notes WHERE {whose} ORDER BY id")}) AS notes
    """,
)
