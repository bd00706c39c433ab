-- What all resources share. The table of a resource has the columns `id uuid` and `version bigint`.

-- The answer to a POST, kept under its Idempotency-Key. It is written in the same statement as the row that was created.
-- The scope is the method and the path, because two clients of different routes may choose the same key.
CREATE TABLE idempotency_keys (
    scope       text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    answer      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- What happened to the rows of each resource, for its event stream. `resource` is the name of its table.
--
-- A reader that asked for "ids above the last one I saw" would miss events: a transaction that took its id early may
-- commit late. Events are therefore ordered by (tx, id), and read only up to the oldest transaction still running:
-- below it nothing can appear any more.
CREATE TABLE events (
    resource text NOT NULL,
    tx       bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    id       bigint GENERATED ALWAYS AS IDENTITY,
    kind     text NOT NULL CHECK (kind IN ('created', 'updated', 'deleted', 'reset')),
    item     uuid,
    version  bigint,
    at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (resource, tx, id)
);

CREATE INDEX events_at ON events (at);

-- The newest event that was cleaned up: who resumes from before it cannot be told all that happened.
CREATE TABLE events_pruned (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tx       bigint NOT NULL,
    id       bigint NOT NULL
);

INSERT INTO events_pruned (tx, id) VALUES (0, 0);

-- One event for each row. A statement that changes many (an import) is one 'reset': "read the list again". The
-- notification names only the resource: it wakes the readers, who read the table. It works for every role, whatever
-- its search_path.
CREATE FUNCTION record_events() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
BEGIN
    SELECT count(*) INTO number FROM (SELECT FROM changed LIMIT 101) AS counted;
    IF number = 0 THEN
        RETURN NULL;
    ELSIF number > 100 THEN
        INSERT INTO events (resource, kind) VALUES (TG_TABLE_NAME, 'reset');
    ELSE
        INSERT INTO events (resource, kind, item, version)
        SELECT TG_TABLE_NAME, TG_ARGV[0], id, version FROM changed ORDER BY id;
    END IF;
    PERFORM pg_notify('events', TG_TABLE_NAME);
    RETURN NULL;
END
$$;

-- Begins to record the events of a table. A migration calls it: SELECT publish_events('bookings').
CREATE FUNCTION publish_events(resource regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute
         WHERE attrelid = resource AND NOT attisdropped
           AND (attname, atttypid) IN (('id', 'uuid'::regtype), ('version', 'bigint'::regtype))) < 2 THEN
        RAISE EXCEPTION 'publish_events: the table % needs the columns "id uuid" and "version bigint"', resource;
    END IF;
    EXECUTE format(
        'CREATE TRIGGER events_created AFTER INSERT ON %1$s REFERENCING NEW TABLE AS changed
             FOR EACH STATEMENT EXECUTE FUNCTION record_events(''created'');
         CREATE TRIGGER events_updated AFTER UPDATE ON %1$s REFERENCING NEW TABLE AS changed
             FOR EACH STATEMENT EXECUTE FUNCTION record_events(''updated'');
         CREATE TRIGGER events_deleted AFTER DELETE ON %1$s REFERENCING OLD TABLE AS changed
             FOR EACH STATEMENT EXECUTE FUNCTION record_events(''deleted'')',
        resource
    );
END
$$;

-- Tells the subscribers of all resources to read their lists again, after rows were changed without the triggers.
CREATE FUNCTION reset_events() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
    WITH resets AS (
        INSERT INTO events (resource, kind)
        SELECT DISTINCT relname, 'reset' FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
         WHERE tgfoid = 'record_events'::regproc
        RETURNING resource
    )
    SELECT pg_notify('events', resource) FROM resets
$$;

-- A time as in all answers: in UTC with Z, and with microseconds unless they are zero. For exports, whose JSON
-- PostgreSQL writes; its default would be the time zone of the session.
CREATE FUNCTION json_time(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT replace(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')
$$;
