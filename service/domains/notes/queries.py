"""All SQL on notes. A statement's name is its label in metrics and the name of its spans."""

from service.database.pool import Statement

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

# One statement, so key and note are committed together. If the key exists, it raises a unique violation and inserts
# neither.
CREATE_WITH_KEY = Statement(
    "note_create_with_key",
    """
    WITH note AS (
        INSERT INTO notes (title, body) VALUES ($1, $2)
        RETURNING id, title, body, version, created_at, updated_at
    ), claim AS (
        INSERT INTO idempotency_keys (key, fingerprint, answer) SELECT $3, $4, to_jsonb(note) FROM note
    )
    SELECT id, title, body, version, created_at, updated_at FROM note
    """,
)

FIRST_ANSWER = Statement(
    "idempotency_key_get",
    "SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1",
)

REPLACE = Statement(
    "note_replace",
    """
    UPDATE notes SET title = $2, body = $3, version = version + 1, updated_at = now()
     WHERE id = $1 AND ($4::bigint[] IS NULL OR version = ANY ($4))
    RETURNING id, title, body, version, created_at, updated_at
    """,
)

DELETE = Statement(
    "note_delete",
    "DELETE FROM notes WHERE id = $1 AND ($2::bigint[] IS NULL OR version = ANY ($2)) RETURNING id",
)

# Keyset pagination: each page is one range of the primary key, so a late page costs as much as the first one.
LIST_FIRST = Statement(
    "note_list",
    """
    SELECT id, title, body, version, created_at, updated_at FROM notes
     ORDER BY id DESC LIMIT $1
    """,
)
LIST_AFTER = Statement(
    "note_list",
    """
    SELECT id, title, body, version, created_at, updated_at FROM notes
     WHERE id < $2 ORDER BY id DESC LIMIT $1
    """,
)
# PostgreSQL cannot estimate how rare a word is: it may scan the whole primary key for a rare word, or collect all
# notes with a common word from the index. So `newest` searches a fixed number of the newest notes first. If they do
# not fill the page, the word is rare, and `indexed` gets all its notes from the index. The SELECT around
# websearch_to_tsquery makes PostgreSQL evaluate it once; a generic plan would do so for each of the newest notes.
_SEARCH = """
    WITH newest AS MATERIALIZED (
        SELECT id, title, body, version, created_at, updated_at
          FROM (SELECT * FROM notes {newest} ORDER BY id DESC LIMIT 2000) AS newest
         WHERE search @@ (SELECT websearch_to_tsquery('english', $2))
         ORDER BY id DESC LIMIT $1
    ), counted AS MATERIALIZED (
        SELECT count(*) < $1 AS too_few FROM newest
    ), indexed AS MATERIALIZED (
        SELECT id, title, body, version, created_at, updated_at
          FROM notes
         WHERE search @@ (SELECT websearch_to_tsquery('english', $2)) {older}
           AND (SELECT too_few FROM counted)
    )
    SELECT * FROM newest WHERE NOT (SELECT too_few FROM counted)
     UNION ALL
    SELECT * FROM indexed
     ORDER BY id DESC LIMIT $1
"""
SEARCH_FIRST = Statement("note_search", _SEARCH.format(newest="", older=""))
SEARCH_AFTER = Statement("note_search", _SEARCH.format(newest="WHERE id < $3", older="AND id < $3"))

# PostgreSQL writes the JSON: an export can have millions of lines, and this is the fastest way to make them. Its
# default would be times in the time zone of the session; to_char writes them as in all other answers: in UTC with Z,
# and with microseconds unless they are zero.
EXPORT = Statement(
    "note_export",
    """
    SELECT json_build_object(
               'id', id, 'title', title, 'body', body, 'version', version,
               'created_at', replace(to_char(created_at AT TIME ZONE 'UTC', iso), '.000000Z', 'Z'),
               'updated_at', replace(to_char(updated_at AT TIME ZONE 'UTC', iso), '.000000Z', 'Z')
           )::text AS line
      FROM notes, (VALUES ('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS format (iso)
     ORDER BY id
    """,
)

IMPORT = Statement("note_import", "COPY notes FROM STDIN")
IMPORT_COLUMNS = ("id", "title", "body", "version", "created_at", "updated_at")

# Only events of transactions older than every running one; see note_events in migrations/0001_notes.sql.
EVENTS_AFTER = Statement(
    "note_events_after",
    """
    SELECT tx, id, kind, note_id, version FROM note_events
     WHERE (tx, id) > ($1::bigint, $2::bigint)
       AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
     ORDER BY tx, id LIMIT $3
    """,
)
# Reads only the newest event. With EXISTS (... WHERE (tx, id) > ($1, $2)), PostgreSQL may read the whole table.
EVENTS_WAITING = Statement(
    "note_events_waiting",
    """
    SELECT coalesce(
        (SELECT (tx, id) > ($1::bigint, $2::bigint) FROM note_events ORDER BY tx DESC, id DESC LIMIT 1), false
    ) AS waiting
    """,
)
EVENTS_NOW = Statement(
    "note_events_now",
    """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS tx, pruned.tx AS pruned_tx, pruned.id AS pruned_id
      FROM note_events_pruned AS pruned
    """,
)

# These remove expired rows in small batches, the oldest first. They skip locked rows, for example those that another
# replica is removing, so neither side waits. They delete by ctid, so that no plan scans the table again.
KEYS_EXPIRE = Statement(
    "idempotency_keys_expire",
    """
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys WHERE created_at < now() - $1::interval
         ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING key
    """,
)
# Stores the position of the newest removed event: a client that resumes from before it is told that events are lost.
EVENTS_EXPIRE = Statement(
    "note_events_expire",
    """
    WITH expired AS (
        DELETE FROM note_events WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM note_events WHERE at < now() - $1::interval
             ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
        )) RETURNING tx, id
    ), newest AS (
        SELECT tx, id FROM expired ORDER BY tx DESC, id DESC LIMIT 1
    ), pruned AS (
        UPDATE note_events_pruned AS pruned SET tx = newest.tx, id = newest.id
          FROM newest WHERE (pruned.tx, pruned.id) < (newest.tx, newest.id)
    )
    SELECT id FROM expired
    """,
)
