#!/usr/bin/env bash
# What redlock adds to a command, beside flock. Run it with `make bench`, or: redlock sandbox -n 5 -- scripts/bench.sh [N]
#
# Runs `true` alone, under flock and under redlock in turn, N times (200), and prints the medians.
set -euo pipefail

runs=${1:-200}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
truth=$(type -P true)

# Runs the command and appends the microseconds it took to the file FILE: measure FILE COMMAND…
measure() {
    local file=$1 begun ended
    shift
    begun=${EPOCHREALTIME/[.,]/}
    "$@"
    ended=${EPOCHREALTIME/[.,]/}
    echo $((ended - begun)) >>"$directory/$file"
}

# The value that the given percentage of the sorted values do not exceed: percentile FILE PERCENT
percentile() {
    sort -n "$directory/$1" | sed -n "$(((runs - 1) * $2 / 100 + 1))p"
}

for ((i = 0; i < runs; i++)); do
    measure alone "$truth"
    measure flock flock "$directory/lock" "$truth"
    measure redlock redlock run bench -- "$truth"
done

alone=$(percentile alone 50)
flock_added=$(($(percentile flock 50) - alone))
redlock_added=$(($(percentile redlock 50) - alone))

printf '%-28s %10s %10s %12s\n' "$runs runs each, in µs" median '95 %' 'adds'
printf '%-28s %10d %10d\n' 'true' "$alone" "$(percentile alone 95)"
printf '%-28s %10d %10d %12d\n' 'flock FILE true' "$((alone + flock_added))" "$(percentile flock 95)" "$flock_added"
printf '%-28s %10d %10d %12d\n' 'redlock run NAME -- true' "$((alone + redlock_added))" "$(percentile redlock 95)" "$redlock_added"
if ((flock_added > 0)); then
    ratio=$((redlock_added * 100 / flock_added))
    printf 'redlock adds %d.%02d times what flock adds.\n' $((ratio / 100)) $((ratio % 100))
fi
