#!/bin/sh
# Plants one wrong rule after the other, and fails if the simulator and the unit tests let one pass.
#
#     scripts/planted.sh [WORD]    only the rules whose name has the WORD
#
# tests/sim/planted.txt has the rules. Each is planted in a scratch copy of the tree. REDLOCK_PLANTED_ALL=1 runs the unit tests
# also for a rule that the simulator has found; SEEDS (2000) is the number of worlds.
set -eu

cd "$(dirname "$0")/.."
word=${1:-}
SEEDS=${SEEDS:-2000}
all=${REDLOCK_PLANTED_ALL:-}
scratch=${CARGO_TARGET_DIR:-target}/planted
tree=$scratch/tree
mkdir -p "$tree"
scratch=$(cd "$scratch" && pwd)
tree=$scratch/tree
list=$PWD/tests/sim/planted.txt
export SEEDS CARGO_TARGET_DIR="$scratch/target" CARGO_PROFILE_DEV_DEBUG=0

# Files that are the same keep their times, so that only what is planted is built anew.
copy() {
    for path in Cargo.toml Cargo.lock build.rs clippy.toml src tests bench; do
        [ -e "$path" ] && find "$path" -type f
    done | while read -r file; do
        cmp -s "$file" "$tree/$file" || { mkdir -p "$tree/$(dirname "$file")" && cp "$file" "$tree/$file"; }
    done
}

# Puts rule number $1 into the tree.
plant() {
    python3 - "$list" "$tree" "$1" <<'PYTHON'
import pathlib, sys
listed, tree, number = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
rule = pathlib.Path(listed).read_text().split("\n## ")[number]
name, file, edit = rule.split("\n", 2)
old, new = edit.split("<<<<\n")[1].split(">>>>")[0].split("====\n")
path = tree / file
text = path.read_text()
old, new = old.removesuffix("\n"), new.removesuffix("\n")
if text.count(old) != 1:
    sys.exit(f"{name}: {file} has {text.count(old)} times, and not once:\n{old}")
path.write_text(text.replace(old, new))
PYTHON
}

# Whether `cargo test` with these arguments passes; a rule that does not build is none.
passes() {
    (cd "$tree" && cargo test --quiet --no-run "$@" >"$scratch/build.log" 2>&1) || {
        cat "$scratch/build.log" >&2
        echo "planted: this does not build" >&2
        exit 2
    }
    (cd "$tree" && timeout 600 cargo test --quiet "$@" >"$scratch/test.log" 2>&1)
}

copy
passes --test sim || { cat "$scratch/test.log"; echo "planted: the simulator fails without a wrong rule" >&2; exit 1; }
passes --lib -- lock:: policy:: instance:: || { cat "$scratch/test.log"; echo "planted: the unit tests fail without a wrong rule" >&2; exit 1; }
count=$(grep -c '^## ' "$list")
missed=0
number=0
while [ "$number" -lt "$count" ]; do
    number=$((number + 1))
    name=$(grep '^## ' "$list" | sed -n "${number}s/^## //p")
    case $name in *"$word"*) ;; *) continue ;; esac
    copy
    plant "$number"
    found=
    passes --test sim || found="$found simulator"
    if [ -z "$found" ] || [ -n "$all" ]; then
        passes --lib -- lock:: policy:: instance:: || found="$found units"
    fi
    printf '%-70s %s\n' "$name" "${found:-NOT FOUND}"
    [ -n "$found" ] || missed=$((missed + 1))
done
copy
[ "$missed" -eq 0 ] || { echo "planted: $missed wrong rules pass every test" >&2; exit 1; }
