-- Rows that belong to users. PostgreSQL shows and changes only the rows of the user for whom a statement runs.

-- For whom a statement runs, as a parameter of that statement: `-ada` is ada, `+ada` is ada with the right to all rows,
-- and `+` is nobody in particular with that right. PostgreSQL checks a domain when it takes the parameters, before the
-- statement begins, and this check sets what the policies read. It holds until the end of the transaction, which is the
-- statement's own. So it costs no round trip, no session keeps it, and a statement without it sees no row.
-- squawk-ignore ban-create-domain-with-constraint -- no column is of this type
CREATE DOMAIN acting_user AS text CHECK (
    set_config('app.user', substr(VALUE, 2), true) IS NOT NULL
    AND set_config('app.sees_all', left(VALUE, 1), true) IS NOT NULL
);

-- NULL if a statement runs for nobody in particular, or does not say for whom.
CREATE FUNCTION acting() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user', true), '');

-- Whether a statement may see and change the rows of all users, and those of nobody.
CREATE FUNCTION sees_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('app.sees_all', true) = '+', false);

-- To whom the row of an event belongs.
ALTER TABLE events ADD COLUMN owner text;

-- As before, and with the owners if the trigger's second argument says that there are some. An import in batches is one
-- 'reset' for each owner.
CREATE OR REPLACE FUNCTION record_events() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    number bigint;
    owned boolean := TG_NARGS > 1 AND TG_ARGV[1] = 'owned';
BEGIN
    SELECT count(*) INTO number FROM (SELECT FROM changed LIMIT 101) AS counted;
    IF number = 0 THEN
        RETURN NULL;
    ELSIF number > 100 AND owned THEN
        INSERT INTO events (resource, kind, owner)
        SELECT TG_TABLE_NAME, 'reset', owners.owner FROM (SELECT DISTINCT owner FROM changed) AS owners
         WHERE NOT EXISTS (
             SELECT FROM events WHERE resource = TG_TABLE_NAME AND tx = pg_current_xact_id()::text::bigint
                AND kind = 'reset' AND owner IS NOT DISTINCT FROM owners.owner
         );
    ELSIF number > 100 THEN
        INSERT INTO events (resource, kind) VALUES (TG_TABLE_NAME, 'reset');
    ELSIF owned THEN
        INSERT INTO events (resource, kind, item, version, owner)
        SELECT TG_TABLE_NAME, TG_ARGV[0], id, version, owner FROM changed ORDER BY id;
    ELSE
        INSERT INTO events (resource, kind, item, version)
        SELECT TG_TABLE_NAME, TG_ARGV[0], id, version FROM changed ORDER BY id;
    END IF;
    PERFORM pg_notify('events', TG_TABLE_NAME);
    RETURN NULL;
END
$$;

-- As before; a table whose rows have owners records them.
CREATE OR REPLACE FUNCTION publish_events(resource regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute
         WHERE attrelid = resource AND NOT attisdropped
           AND (attname, atttypid) IN (('id', 'uuid'::regtype), ('version', 'bigint'::regtype))) < 2 THEN
        RAISE EXCEPTION 'publish_events: the table % needs the columns "id uuid" and "version bigint"', resource;
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER events_created AFTER INSERT ON %1$s REFERENCING NEW TABLE AS changed
             FOR EACH STATEMENT EXECUTE FUNCTION record_events(''created''%2$s);
         CREATE OR REPLACE TRIGGER events_updated AFTER UPDATE ON %1$s REFERENCING NEW TABLE AS changed
             FOR EACH STATEMENT EXECUTE FUNCTION record_events(''updated''%2$s);
         CREATE OR REPLACE TRIGGER events_deleted AFTER DELETE ON %1$s REFERENCING OLD TABLE AS changed
             FOR EACH STATEMENT EXECUTE FUNCTION record_events(''deleted''%2$s)',
        resource,
        CASE WHEN EXISTS (SELECT FROM pg_policy WHERE polrelid = resource AND polname = 'owner') THEN ', ''owned''' END
    );
END
$$;

-- Gives the rows of a table owners, in a column that it adds. A migration calls it: SELECT own_rows('bookings'). New rows
-- belong to the user for whom they are inserted; only who sees all rows sees those that were there before. The owner of
-- the schema is exempt: migrations, dumps and restores go on, and no request runs as that role. An UPDATE of the owner
-- is an event for the new one only.
CREATE FUNCTION own_rows(resource regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'ALTER TABLE %1$s ADD COLUMN owner text;
         ALTER TABLE %1$s ALTER COLUMN owner SET DEFAULT acting();
         CREATE INDEX ON %1$s (owner, id);
         ALTER TABLE %1$s ENABLE ROW LEVEL SECURITY;
         CREATE POLICY owner ON %1$s USING (owner = acting() OR sees_all())',
        resource
    );
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = resource AND tgfoid = 'record_events'::regproc) THEN
        PERFORM publish_events(resource);
    END IF;
END
$$;
