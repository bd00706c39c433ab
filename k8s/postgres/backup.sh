#!/usr/bin/env bash
# Dumps the schema of the application, and the extensions that it may need, into /backups, and deletes dumps that are
# older than KEEP_DAYS. libpq's variables (PGHOST, PGUSER, PGPASSWORD, PGDATABASE) set the connection.
set -euo pipefail
folder=${BACKUPS:-/backups}
keep_days=${KEEP_DAYS:-14}
export PGDATABASE=${PGDATABASE:-app}
name=${1:-$PGDATABASE-$(date -u +%Y%m%dT%H%M%S.%3NZ)}.dump
part=$folder/.$name.part
trap 'rm -f "$part"' EXIT

# The dump gets its name when it is complete, so that no list contains a partial one. `ln` never replaces another dump.
pg_dump --schema=app --extension='*' --format=custom --lock-wait-timeout=60s --file="$part"
pg_restore --list "$part" >/dev/null
sync "$part"
ln "$part" "$folder/$name"
echo "backup: $folder/$name, $(stat --format=%s "$folder/$name") bytes"

find "$folder" -maxdepth 1 -name '*.dump' -mtime "+$keep_days" -print -delete | sed 's/^/backup: removed /'
