#!/usr/bin/env bash
# restore.sh NAME: restores the application's schema from /backups/NAME in one transaction, so that an error changes
# nothing. It dumps the current schema first. Requests wait meanwhile, and get 503 if it takes long.
set -euo pipefail
folder=${BACKUPS:-/backups}
dump=$folder/${1:?restore: name one of the dumps in $folder}
if ! pg_restore --list "$dump" >/dev/null; then
  echo "restore: $dump is not a dump that can be read; nothing was changed" >&2
  exit 1
fi
bash "$(dirname "$0")/backup.sh" "before-restore-$(date -u +%Y%m%dT%H%M%S.%3NZ)"

# COMMIT follows only if pg_restore has read the whole file. Without it psql ends, and everything is rolled back.
{
  echo 'BEGIN;'
  echo 'SET client_min_messages = warning; DROP SCHEMA app CASCADE;'
  pg_restore --file=- "$dump"
  echo 'SET search_path = app;' # pg_dump leaves an empty one
  cat "$(dirname "$0")/reset-events.sql"
  echo 'COMMIT;'
} | psql --dbname="${PGDATABASE:-app}" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null
echo "restore: the database is what it was in $dump"
