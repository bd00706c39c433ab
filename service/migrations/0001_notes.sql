-- Notes. A UUIDv7 holds the time of its making, so the primary key is also the order of creation.
CREATE TABLE notes (
    id         uuid PRIMARY KEY DEFAULT uuidv7(),
    title      text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    body       text NOT NULL CHECK (char_length(body) <= 10000),
    version    bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search     tsvector NOT NULL GENERATED ALWAYS AS (
                   setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')
               ) STORED
);

CREATE INDEX notes_search ON notes USING gin (search);

-- The answer to a POST, kept under its Idempotency-Key. Written in the same statement as the note.
CREATE TABLE idempotency_keys (
    key         text PRIMARY KEY,
    fingerprint bytea NOT NULL,
    answer      jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- What happened to the notes, for /notes/events.
--
-- A reader that asked for "ids above the last one I saw" would miss events: a transaction that took its id early may
-- commit late. Events are therefore ordered by (tx, id), and read only up to the oldest transaction still running:
-- below it nothing can appear any more.
CREATE TABLE note_events (
    tx      bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    id      bigint GENERATED ALWAYS AS IDENTITY,
    kind    text NOT NULL CHECK (kind IN ('created', 'updated', 'deleted', 'reset')),
    note_id uuid,
    version bigint,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tx, id)
);

CREATE INDEX note_events_at ON note_events (at);

-- The newest event that was cleaned up: who resumes from before it cannot be told all that happened.
CREATE TABLE note_events_pruned (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tx       bigint NOT NULL,
    id       bigint NOT NULL
);

INSERT INTO note_events_pruned (tx, id) VALUES (0, 0);

-- One event a note. A statement that changes many (an import) is one 'reset': "read the list again". The notification
-- has no content: it only wakes the readers, who read the table.
CREATE FUNCTION record_note_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
BEGIN
    SELECT count(*) INTO changed FROM (SELECT FROM changed_notes LIMIT 101) AS counted;
    IF changed = 0 THEN
        RETURN NULL;
    ELSIF changed > 100 THEN
        INSERT INTO note_events (kind) VALUES ('reset');
    ELSE
        INSERT INTO note_events (kind, note_id, version)
        SELECT TG_ARGV[0], id, version FROM changed_notes ORDER BY id;
    END IF;
    NOTIFY note_events;
    RETURN NULL;
END
$$;

CREATE TRIGGER notes_created AFTER INSERT ON notes REFERENCING NEW TABLE AS changed_notes
    FOR EACH STATEMENT EXECUTE FUNCTION record_note_events('created');
CREATE TRIGGER notes_updated AFTER UPDATE ON notes REFERENCING NEW TABLE AS changed_notes
    FOR EACH STATEMENT EXECUTE FUNCTION record_note_events('updated');
CREATE TRIGGER notes_deleted AFTER DELETE ON notes REFERENCING OLD TABLE AS changed_notes
    FOR EACH STATEMENT EXECUTE FUNCTION record_note_events('deleted');

-- The service reads the history of migrations and must not write it.
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM app_rw;
