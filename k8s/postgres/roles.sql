-- The roles, and the schema of the application: once, as the superuser, in the new database `app`. Only SQL, without the
-- commands of psql, because three run it: the workbench with psql, the official image from /docker-entrypoint-initdb.d,
-- and CloudNativePG (k8s/components/postgres-ha). Each of them has created the database, in PostgreSQL's own locale
-- instead of the system's: text has the same order on every platform, and an update of the C library cannot change that
-- order and so corrupt an index.

-- Three roles, each with only the rights that it needs. A vulnerability in the service can neither change the schema
-- nor use up all connections (max_connections is 100).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_owner') THEN -- CloudNativePG has made it already
        CREATE ROLE app_owner LOGIN;
    END IF;
END
$$;
ALTER ROLE app_owner CONNECTION LIMIT 10;
CREATE ROLE app_rw LOGIN CONNECTION LIMIT 75;
CREATE ROLE metrics LOGIN CONNECTION LIMIT 5;

-- They have no passwords yet. In the cluster, where a login needs one, passwords.sql or CloudNativePG sets them. The
-- workbench needs none, because only its own user can reach its socket.

-- CloudNativePG gives the database to app_owner, who could grant others more than what follows.
ALTER DATABASE app OWNER TO postgres;

-- By default every role can connect to every database and create temporary tables there.
REVOKE ALL ON DATABASE app, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO app_owner, app_rw, metrics;

-- Migrations may create trusted extensions. PostgreSQL has no smaller privilege for this; it also allows more schemas,
-- which no backup contains.
GRANT CREATE ON DATABASE app TO app_owner;

-- A request that hangs must not hold a connection or a lock for long. A transaction can raise a limit on purpose
-- (SET LOCAL), but none lacks a limit by accident.
ALTER ROLE app_rw SET statement_timeout = '5s';
ALTER ROLE app_rw SET lock_timeout = '2s';
ALTER ROLE app_rw SET idle_in_transaction_session_timeout = '10s';

-- The statements are many and short. With millions of rows, PostgreSQL would start parallel workers and compile
-- expressions for a statement of 0.1 ms, because a part of it that seldom runs looks expensive to the planner.
ALTER ROLE app_rw SET max_parallel_workers_per_gather = 0;
ALTER ROLE app_rw SET jit = off;

-- For the exporter: all statistics views, but no tables.
GRANT pg_monitor TO metrics;
ALTER ROLE metrics SET default_transaction_read_only = on;
ALTER ROLE metrics SET statement_timeout = '5s';

-- One schema, owned by the role that migrates it. It is the whole search path.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA app AUTHORIZATION app_owner;
ALTER ROLE app_owner IN DATABASE app SET search_path = app;
ALTER ROLE app_rw IN DATABASE app SET search_path = app;

-- The service can read and write the rows of every table that a migration creates, but not change the tables.
GRANT USAGE ON SCHEMA app TO app_rw;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app_rw;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app
    GRANT USAGE ON SEQUENCES TO app_rw;

-- Only the superuser can create extensions that are not trusted. If you need one, this is the place:
-- CREATE EXTENSION vector SCHEMA app;
