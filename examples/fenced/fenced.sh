#!/bin/sh
# Runs SQL from stdin in one transaction, which the database refuses if a later holder of the lock was there:
#
#   redlock run --fence counters -- sh -c 'echo "UPDATE hits SET n = n + 1;" | examples/fenced/fenced.sh app.db counters'
#
# DATABASE is a file of SQLite, or a URL of PostgreSQL (postgresql://...). RESOURCE is what the lock guards.
set -eu
database=${1:?missing DATABASE} resource=${2:?missing RESOURCE}
token=${REDLOCK_FENCE:?no fencing token; run this under redlock run --fence}
here=$(dirname "$0")
case $resource in *[!a-z0-9_-]*) echo "fenced.sh: RESOURCE is a-z, 0-9, _ and -" >&2; exit 64 ;; esac
case $token in *[!0-9]*) echo "fenced.sh: REDLOCK_FENCE is a number" >&2; exit 64 ;; esac
sql=$(cat)
case $database in
postgres*://*)
	{
		cat "$here/fence.pg.sql"
		printf "BEGIN; SELECT fence('%s', %s);\n%s\nCOMMIT;\n" "$resource" "$token" "$sql"
	} | psql -X -q -v ON_ERROR_STOP=1 -o /dev/null "$database"
	;;
*)
	# The token comes first: it takes the write lock, and the check and the work are one transaction.
	{
		printf '.bail on\n.timeout 10000\n'
		cat "$here/fence.sql"
		printf "BEGIN IMMEDIATE;\nINSERT INTO fence VALUES ('%s', %s) ON CONFLICT (name) DO UPDATE SET token = excluded.token;\n%s\nCOMMIT;\n" \
			"$resource" "$token" "$sql"
	} | sqlite3 "$database"
	;;
esac
