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

SELECT publish_events('notes');
