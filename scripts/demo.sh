#!/usr/bin/env bash
# The main job of redlock, shown and checked. Run it with `make demo`, or: redlock sandbox -n 5 -- scripts/demo.sh
#
# Five deploys migrate one SQLite database at the same time: first without a lock, then with one, while two of the five
# Redis servers die.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly DEPLOYS=5 TTL_S=2
command='redlock run --ttl '$TTL_S's migrate -- examples/migrate.sh shop.db'

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
failed=0

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

now_ms() {
    local microseconds=${EPOCHREALTIME/[.,]/}
    echo $((microseconds / 1000))
}

title() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

# Prints what comes in, each line with the seconds since the start and who said it.
tell() {
    local who=$1 line ms
    while IFS= read -r line; do
        ms=$(($(now_ms) - started))
        printf '  %s%2d.%d s%s  %-9s %s\n' "$dim" $((ms / 1000)) $((ms % 1000 / 100)) "$plain" "$who" "$line"
    done
}

# check LABEL COMMAND…: the command says whether it is so.
check() {
    local label=$1
    shift
    if "$@"; then
        printf '  ok      %s\n' "$label"
    else
        printf '  %sFAILED  %s%s\n' "$bold" "$label" "$plain"
        failed=1
    fi
}

query() {
    sqlite3 -batch "$@"
}

# Each migration and how often it was applied, on one line.
applied() {
    query "$1" "SELECT group_concat(n || ' x ' || version, ', ') FROM
        (SELECT substr(version, 1, 4) AS version, count(*) AS n FROM schema_migrations GROUP BY version)"
}

balance() {
    query "$1" "SELECT printf('%.2f', balance / 100) FROM accounts WHERE owner = 'ada' LIMIT 1"
}

# The sockets of the servers that the sandbox started, one a line.
sockets() {
    tr -s ', ' '[\n*]' <<<"${REDLOCK_URLS:?run it as: redlock sandbox -n 5 -- scripts/demo.sh}" | sed -n 's,^unix://,,p'
}

keys_left() {
    local socket
    sockets | tail -n +3 | while read -r socket; do redis-cli -s "$socket" --raw keys '*'; done
}

# Two of five servers die in the middle of the work.
kill_two_servers() {
    local socket
    sockets | head -n 2 | while read -r socket; do redis-cli -s "$socket" shutdown nosave; done
    echo 'Two of the five Redis servers were shut down. The other three are a majority.'
}

cat <<EOT
${bold}redlock runs a command while it holds a lock, on any number of hosts, with no more than a few Redis servers.$plain

The work: examples/migrate.sh brings a database up to date with four migrations. Ada has 12.50; they turn balances
into cents and add a bonus of 5.00, so that she must end with 17.50. Five deploys begin at the same moment.
EOT

title '1. Without a lock'
started=$(now_ms)
for ((i = 1; i <= DEPLOYS; i++)); do
    MIGRATE_PAUSE=0.2 examples/migrate.sh "$directory/unlocked.db" >"$directory/unlocked-$i" 2>&1 &
done
wait
echo "  \$ examples/migrate.sh shop.db      (five times at once)"
echo "  applied: $(applied "$directory/unlocked.db")"
echo "  Ada has: $(balance "$directory/unlocked.db")"

title '2. With a lock'
echo "  \$ $command      (five times at once)"
started=$(now_ms)
export MIGRATE_PAUSE=1.6
runs=()
for ((i = 1; i <= DEPLOYS; i++)); do
    {
        code=0
        redlock run --ttl ${TTL_S}s migrate -- examples/migrate.sh "$directory/locked.db" 2>&1 || code=$?
        echo "$code" >"$directory/code-$i"
    } | tell "deploy $i" &
    runs+=($!)
done

sleep 2.5
busy=0
{
    code=0
    echo 'A sixth does not want to wait:'
    echo "\$ ${command/run/run -n}"
    redlock run -n --ttl ${TTL_S}s migrate -- examples/migrate.sh "$directory/locked.db" 2>&1 || code=$?
    echo "It left with exit code $code."
    exit "$code"
} | tell 'deploy 6' || busy=$?

sleep 0.5
if command -v redis-cli >/dev/null; then
    kill_two_servers | tell servers
fi
wait "${runs[@]}"
lasted=$(($(now_ms) - started))

title '3. Was it right?'
echo "  applied: $(applied "$directory/locked.db")"
echo "  Ada has: $(balance "$directory/locked.db")"
check 'each of the four migrations was applied exactly once' \
    test "$(applied "$directory/locked.db")" = '1 x 0001, 1 x 0002, 1 x 0003, 1 x 0004'
check 'Ada has 17.50' test "$(balance "$directory/locked.db")" = 17.50
check "all five deploys ended well" test "$(cat "$directory"/code-* | tr '\n' ' ')" = '0 0 0 0 0 '
check 'the sixth, which would not wait, left with 75' test "$busy" -eq 75
check "it took longer than three times the TTL of $TTL_S s: the lock was kept alive" test "$lasted" -gt $((3 * TTL_S * 1000))
if command -v redis-cli >/dev/null; then
    check 'no key is left on the servers' test -z "$(keys_left)"
fi

echo
if [ "$failed" -ne 0 ]; then
    echo 'The demo failed.'
    exit 1
fi
cat <<EOT
Now try it yourself: 'make install', then 'redlock sandbox' for a shell with five servers, and 'redlock run --help'.
EOT
