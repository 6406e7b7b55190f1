#!/bin/sh
# Checks how a binary is linked: scripts/hardened.sh BINARY [PATH…]
#
# Position-independent, so that its address is random; every symbol bound before main and read-only since (full RELRO); no
# executable stack, and no code that is written to. None of the PATHs is in the binary: a folder of the machine that it was
# built on.
set -eu

binary=${1:?usage: hardened.sh BINARY [PATH...]}
shift
headers=$(LC_ALL=C readelf -hldW "$binary")
status=0

# expect LABEL REGEX: the headers have such a line.
expect() {
    if ! printf '%s\n' "$headers" | grep -Eq "$2"; then
        printf 'hardened: %s: not %s\n' "$binary" "$1" >&2
        status=1
    fi
}

expect 'position-independent' '^ *Type: +DYN '
expect 'marked as an executable' '\(FLAGS_1\) .*Flags:.* PIE'
expect 'read-only after relocation' '^ *GNU_RELRO '
expect 'bound at the start' '\(FLAGS_1\) .*Flags:.* NOW'
expect 'without an executable stack' '^ *GNU_STACK .* RW +0'
if printf '%s\n' "$headers" | grep -q 'TEXTREL'; then
    printf 'hardened: %s: relocations change its code\n' "$binary" >&2
    status=1
fi
for path; do
    if grep -qaF -e "$path" "$binary"; then
        printf 'hardened: %s: it names %s\n' "$binary" "$path" >&2
        status=1
    fi
done
exit "$status"
