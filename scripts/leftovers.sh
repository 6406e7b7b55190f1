#!/bin/sh
# Fails if a process is left that carries the mark of a test run: scripts/leftovers.sh MARK
#
# Every process that a test starts inherits REDLOCK_TEST_MARK, however it is daemonised. One that is about to end gets
# two seconds to do so; zombies have no environment and do not count.
set -eu

mark=${1:?usage: leftovers.sh MARK}

# The /proc/PID/environ of each process that carries the mark.
marked() {
    grep -lzxF "REDLOCK_TEST_MARK=$mark" /proc/[0-9]*/environ 2>/dev/null || true
}

tries=20
while left=$(marked) && [ -n "$left" ]; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
        echo 'processes that outlived the tests:' >&2
        for environ in $left; do
            directory=${environ%/environ}
            printf '%8s  %s\n' "${directory#/proc/}" "$(tr '\0' ' ' <"$directory/cmdline" 2>/dev/null)" >&2
        done
        exit 1
    fi
    sleep 0.1
done
