#!/usr/bin/env bash
# Packs a static binary: scripts/dist.sh BINARY TARGET OUT, as `make dist` does.
#
# OUT gets a tarball, a .deb, an .rpm, an SBOM and SHA256SUMS. The same sources, binary and SOURCE_DATE_EPOCH (the time of
# the last commit, if it is not given) make the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?usage: dist.sh BINARY TARGET OUT} target=$2 out=$3

for tool in deb generate-rpm; do
    command -v "cargo-$tool" >/dev/null ||
        { echo "make: cargo-$tool is not installed; install it: cargo install --locked cargo-$tool" >&2; exit 1; }
done

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}
export SOURCE_DATE_EPOCH
# Modes of what is made here do not depend on who makes it.
umask 022

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arch=${target%%-*}
name=redlock-$version-$arch-linux
root=target/dist/root
rm -rf "$root" "$out"
mkdir -p "$out" "$root/usr/bin" "$root/usr/share"
install -m 755 "$binary" "$root/usr/bin/redlock"

put() {
    install -D -m 644 "$1" "$root/usr/share/$2"
}

put completions/redlock.bash bash-completion/completions/redlock
# Debian's zsh looks in vendor-completions, that of others in site-functions.
put completions/_redlock zsh/vendor-completions/_redlock
put completions/_redlock zsh/site-functions/_redlock
put completions/redlock.fish fish/vendor_completions.d/redlock.fish
shopt -s nullglob globstar
for page in man/*.[1-8]; do
    # Pages are compressed without a time.
    mkdir -p "$root/usr/share/man/man${page##*.}"
    gzip -9n <"$page" >"$root/usr/share/man/man${page##*.}/${page##*/}.gz"
done
for file in README.md docs/*.md docs/*.json docs/recipes/*.md; do
    put "$file" "doc/redlock/${file}"
done
for file in examples/**/*; do
    [ -d "$file" ] || put "$file" "doc/redlock/$file"
done
# As Debian calls it.
gzip -9n <CHANGELOG.md >"$root/usr/share/doc/redlock/changelog.gz"
python3 scripts/sbom.py "$target" "$out/redlock-$version-$arch.cdx.json" target/dist/THIRD-PARTY.txt
gzip -9n <target/dist/THIRD-PARTY.txt >"$root/usr/share/doc/redlock/THIRD-PARTY.txt.gz"

# The tarball has the same files in a flat folder that any user can unpack.
stage=target/dist/$name
rm -rf "$stage"
mkdir -p "$stage"
cp "$root/usr/bin/redlock" "$stage/redlock"
cp -r completions examples docs README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT target/dist/THIRD-PARTY.txt "$stage"
[ ! -d man ] || cp -r man "$stage"
chmod -R u=rwX,go=rX "$stage"
tar --directory target/dist --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
    --create "$name" | gzip -9n >"$out/$name.tar.gz"
rm -rf "$stage"

cargo deb --quiet --no-build --no-strip --target "$target" --output "$out/"
cargo generate-rpm --target "$target" --source-date "$SOURCE_DATE_EPOCH" --output "$out/"
(cd "$out" && sha256sum -- * >SHA256SUMS)
ls -l "$out"
