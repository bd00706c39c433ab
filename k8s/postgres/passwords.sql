-- Sets the roles' passwords from environment variables, since no password may be in git. It runs after roles.sql in a
-- new database, and at each start of PostgreSQL in the cluster, so that a changed Secret applies from then on.
\set ON_ERROR_STOP on
\getenv postgres_password POSTGRES_PASSWORD
\getenv app_owner_password APP_OWNER_PASSWORD
\getenv app_rw_password APP_RW_PASSWORD
\getenv metrics_password METRICS_PASSWORD

-- Keeps the statements, and so the passwords, out of the log.
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;

\if :{?postgres_password}
ALTER ROLE postgres PASSWORD :'postgres_password';
\endif
\if :{?app_owner_password}
ALTER ROLE app_owner PASSWORD :'app_owner_password';
\endif
\if :{?app_rw_password}
ALTER ROLE app_rw PASSWORD :'app_rw_password';
\endif
\if :{?metrics_password}
ALTER ROLE metrics PASSWORD :'metrics_password';
\endif
