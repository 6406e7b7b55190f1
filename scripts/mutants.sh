#!/bin/sh
# Changes the decisions one place at a time, and looks for what no unit test notices; docs/mutants.md explains. Run it with
# `make mutants`, or with options of cargo-mutants, such as -f src/lock/tally.rs.
#
# src/lock and src/policy need nothing else of this crate. In a crate of the two a change is built and tested in seconds.
set -eu
cd "$(dirname "$0")/.."
command -v cargo-mutants >/dev/null || {
    echo "mutants: cargo-mutants is not installed; install it: cargo install cargo-mutants" >&2
    exit 1
}
crate=${CARGO_TARGET_DIR:-target}/mutants
rm -rf "$crate"
mkdir -p "$crate/src"
cp -R .cargo Cargo.lock "$crate"
sed '/^\[\[bin\]\]/,/^$/d' Cargo.toml >"$crate/Cargo.toml"
cp -R src/lock src/policy "$crate/src"
printf '//! The decisions alone.\n\npub mod lock;\npub mod policy;\n' >"$crate/src/lib.rs"
cd "$crate"
# The crate is among what git ignores.
exec cargo mutants --gitignore=false "$@"
