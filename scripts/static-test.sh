#!/bin/sh
# Runs a static redlock in a root directory in which there is nothing else: scripts/static-test.sh BINARY
#
# The servers are a sandbox's outside of it; only their sockets are in there, and a /proc of its own. Needs root, or user
# namespaces.
set -eu

binary=${1:?usage: static-test.sh BINARY}

if [ -z "${REDLOCK_TEST_STATIC_ROOT-}" ]; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    install -m 755 "$binary" "$root/redlock"
    mkdir "$root/proc"
    REDLOCK_TEST_STATIC_ROOT=$root TMPDIR=$root "$binary" sandbox -n 3 -- "$0" "$binary"
    exit
fi

root=$REDLOCK_TEST_STATIC_ROOT
[ "$(id -u)" -eq 0 ] && user='' || user='--user --map-root-user'
# As they are called in there.
REDLOCK_URLS=$(printf '%s' "$REDLOCK_URLS" | sed "s,unix://$root/,unix:///,g")
export REDLOCK_URLS
# Nothing of what these name is there.
unset USER LOGNAME HOME REDLOCK_CONFIG

# shellcheck disable=SC2016 # The inner shell expands it.
proc='mount -t proc proc "$0/proc" &&'
# shellcheck disable=SC2086,SC2317 # A list of words; it is called as "enter".
enter() {
    unshare $user --mount --pid --fork sh -c "$proc exec chroot \"\$0\" \"\$@\"" "$root" "$@"
}

# expect LABEL CODE OUTPUT COMMAND…: the command leaves with that code and prints that.
expect() {
    label=$1 expected="$2 $3"
    shift 3
    code=0
    printed=$(enter "$@" 2>/dev/null) || code=$?
    if [ "$code $printed" != "$expected" ]; then
        printf 'static-test: %s: expected "%s", got "%s"\n' "$label" "$expected" "$code $printed" >&2
        exit 1
    fi
    printf 'ok  %s\n' "$label"
}

version=$("$binary" --version)
expect 'it starts' 0 "$version" /redlock --version
expect 'it holds a lock while a command runs' 0 "$version" /redlock run name -- /redlock --version
expect 'the exit code of the command is passed on' 64 '' /redlock run name -- /redlock run
expect 'a command that is not there is not found' 127 '' /redlock run name -- /nothing
proc=''
expect 'without /proc nothing is locked' 125 '' /redlock run name -- /redlock --version
