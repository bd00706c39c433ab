"""The SQL on what all resources share. A statement's name is its label in metrics and the name of its spans."""

from service.database.pool import Statement

FIRST_ANSWER = Statement(
    "idempotency_key_get",
    "SELECT fingerprint, answer FROM idempotency_keys WHERE scope = $1 AND key = $2",
)

# Only events of transactions older than every running one; see the table in migrations/shared/0001_resources.sql.
EVENTS_AFTER = Statement(
    "events_after",
    """
    SELECT tx, id, kind, item, version, owner FROM events
     WHERE resource = $1 AND (tx, id) > ($2::bigint, $3::bigint)
       AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
     ORDER BY tx, id LIMIT $4
    """,
)
# Reads only the newest event. With EXISTS (... WHERE (tx, id) > ($2, $3)), PostgreSQL may read the whole table.
EVENTS_WAITING = Statement(
    "events_waiting",
    """
    SELECT coalesce(
        (SELECT (tx, id) > ($2::bigint, $3::bigint) FROM events
          WHERE resource = $1 ORDER BY tx DESC, id DESC LIMIT 1), false
    ) AS waiting
    """,
)
EVENTS_NOW = Statement(
    "events_now",
    """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS tx, pruned.tx AS pruned_tx, pruned.id AS pruned_id
      FROM events_pruned AS pruned
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
    "events_expire",
    """
    WITH expired AS (
        DELETE FROM events WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM events WHERE at < now() - $1::interval
             ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
        )) RETURNING tx, id
    ), newest AS (
        SELECT tx, id FROM expired ORDER BY tx DESC, id DESC LIMIT 1
    ), pruned AS (
        UPDATE events_pruned AS pruned SET tx = newest.tx, id = newest.id
          FROM newest WHERE (pruned.tx, pruned.id) < (newest.tx, newest.id)
    )
    SELECT id FROM expired
    """,
)
