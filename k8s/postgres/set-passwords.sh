#!/usr/bin/env bash
# After each start of PostgreSQL, sets the roles' passwords from the Secret, which may have changed since the volume was
# created. The image opens the TCP port after it has initialised a new volume, so this script waits for that port.
set -euo pipefail
for ((tries = 0; tries < 3000; tries++)); do # ten minutes, enough for a long recovery
  if pg_isready --quiet --host=127.0.0.1; then
    exec psql --dbname=postgres --no-psqlrc --quiet --file="$(dirname "$0")/passwords.sql"
  fi
  sleep 0.2
done
echo "set-passwords: PostgreSQL did not start" >&2
exit 1
