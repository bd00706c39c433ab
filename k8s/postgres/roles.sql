-- The database and its roles, made once in a new PostgreSQL. The workbench runs this file with psql on its private
-- socket; in the cluster the official image finds it in /docker-entrypoint-initdb.d. Needs psql 15 or later.
\set ON_ERROR_STOP on

-- Three roles, so that each can do only what it is there for: a hole in the service can neither change the schema
-- nor lock everyone out by using up the connections (max_connections is 100).
CREATE ROLE app_owner LOGIN CONNECTION LIMIT 10;
CREATE ROLE app_rw LOGIN CONNECTION LIMIT 75;
CREATE ROLE metrics LOGIN CONNECTION LIMIT 5;

-- They have no password yet, so they cannot log in where one is asked for: passwords.sql sets them in the cluster. The
-- workbench asks for none, since only its own user can reach its socket.

-- The same order of text on every platform, and one that no update of the C library can change under an index:
-- PostgreSQL's own locale instead of the system's.
CREATE DATABASE app
    TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';

-- By default everybody may connect to every database and create temporary tables there.
REVOKE ALL ON DATABASE app, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO app_owner, app_rw, metrics;

-- A request that hangs must not hold a connection or a lock for long. The session of one statement can raise a limit
-- on purpose (SET LOCAL), none is without one by accident.
ALTER ROLE app_rw SET statement_timeout = '5s';
ALTER ROLE app_rw SET lock_timeout = '2s';
ALTER ROLE app_rw SET idle_in_transaction_session_timeout = '10s';

-- Requests are many and short. Among millions of notes PostgreSQL would start parallel workers and compile expressions
-- for a statement that takes 0.1 ms, because of a part of it that it expects to be long and that mostly is not run.
ALTER ROLE app_rw SET max_parallel_workers_per_gather = 0;
ALTER ROLE app_rw SET jit = off;

-- For the exporter: all statistics views, no table.
GRANT pg_monitor TO metrics;
ALTER ROLE metrics SET default_transaction_read_only = on;
ALTER ROLE metrics SET statement_timeout = '5s';

\connect app

-- One schema, owned by the role that migrates it. Names are found in it and nowhere else.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA app AUTHORIZATION app_owner;
ALTER ROLE app_owner IN DATABASE app SET search_path = app;
ALTER ROLE app_rw IN DATABASE app SET search_path = app;

-- What a migration creates, the service can read and write from the start: rows, not the tables themselves.
GRANT USAGE ON SCHEMA app TO app_rw;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app_rw;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app
    GRANT USAGE ON SEQUENCES TO app_rw;
