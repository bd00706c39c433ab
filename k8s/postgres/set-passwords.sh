#!/usr/bin/env bash
# After each start of PostgreSQL: its roles have the passwords of the Secret, also when that has changed since the
# volume was made. Over TCP nobody is served before the image has set up a new volume.
set -euo pipefail
for ((tries = 0; tries < 3000; tries++)); do # ten minutes: a long recovery
  if pg_isready --quiet --host=127.0.0.1; then
    exec psql --dbname=postgres --no-psqlrc --quiet --file="$(dirname "$0")/passwords.sql"
  fi
  sleep 0.2
done
echo "set-passwords: PostgreSQL did not start" >&2
exit 1
