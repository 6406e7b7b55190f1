#!/bin/sh
# Brings a SQLite database up to date: examples/migrate.sh DATABASE
#
# Applies each of migrations/*.sql that the database does not have yet, in order, and records it, in one transaction.
# As in most migration scripts, a moment lies between looking whether a migration is needed and applying it: two of
# these at once do damage. So run it under a lock:
#
#     redlock run --ttl 30s migrate -- examples/migrate.sh shop.db
#
# MIGRATE_PAUSE is the time in seconds that each migration takes longer, to see what a large table would do.
set -eu

database=${1:?usage: migrate.sh DATABASE}
migrations=$(dirname "$0")/migrations

sql() {
    sqlite3 -batch -bail -cmd '.timeout 5000' "$database" "$@"
}

# What redlock tells its command.
[ -z "${REDLOCK_NAME-}" ] || echo "has the lock '$REDLOCK_NAME'"

sql 'CREATE TABLE IF NOT EXISTS schema_migrations (version TEXT NOT NULL, applied_at TEXT NOT NULL)'

applied=0
for file in "$migrations"/*.sql; do
    version=$(basename "$file" .sql)
    if [ "$(sql "SELECT count(*) FROM schema_migrations WHERE version = '$version'")" -gt 0 ]; then
        continue
    fi
    echo "applying $version"
    sleep "${MIGRATE_PAUSE:-0}"
    sql >/dev/null <<SQL
BEGIN IMMEDIATE;
$(cat "$file")
INSERT INTO schema_migrations VALUES ('$version', datetime('now'));
COMMIT;
SQL
    applied=$((applied + 1))
done

if [ "$applied" -eq 0 ]; then
    echo 'nothing to do, the database is up to date'
else
    echo "done, $applied migrations applied"
fi
