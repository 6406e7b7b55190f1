#!/bin/sh
# Applies the migrations of DIRECTORY that are missing, each in one transaction that a later holder's token refuses:
#
#   redlock run --fence migrations -- examples/fenced/migrate.sh app.db examples/migrations
set -eu
database=${1:?missing DATABASE} directory=${2:?missing DIRECTORY}
here=$(dirname "$0")
fenced() { "$here/fenced.sh" "$database" migrations; }
echo "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY);" | fenced
for file in "$directory"/*.sql; do
	name=$(basename "$file")
	case $database in
	postgres*://*) is_done=$(psql -X -At -c "SELECT 1 FROM migrations WHERE name = '$name'" "$database") ;;
	*) is_done=$(sqlite3 "$database" "SELECT 1 FROM migrations WHERE name = '$name'") ;;
	esac
	[ -z "$is_done" ] || continue
	{
		# Two that apply one file: the second fails at the primary key.
		echo "INSERT INTO migrations VALUES ('$name');"
		cat "$file"
	} | fenced
done
