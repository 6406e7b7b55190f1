#!/usr/bin/env bash
# Checks the packages of `make dist`: scripts/dist-test.sh OUT. Needs root, debootstrap, lintian, rpm, and a Debian mirror.
#
# The .deb is installed, used and removed in a bare Debian root, where nothing may be left; the .rpm in an empty root; the tarball is unpacked and used; the checksums have to fit.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(realpath "${1:?usage: dist-test.sh OUT}")

say() {
    printf 'dist-test: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail 'debootstrap and mounts need root'
scripts/need.sh debootstrap lintian rpm
(cd "$out" && sha256sum --check --quiet SHA256SUMS) || fail 'SHA256SUMS does not fit'
deb=$(echo "$out"/*.deb) rpm=$(echo "$out"/*.rpm) tarball=$(echo "$out"/*.tar.gz)

say 'lintian'
# The binary is meant to be static.
lintian --fail-on error --suppress-tags statically-linked-binary "$deb"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
say 'the tarball and the .rpm'
tar -xzf "$tarball" -C "$work"
unpacked=$(echo "$work"/redlock-*/redlock)
"$unpacked" --version
rpm --query --package --nosignature "$rpm" --info | grep -E '^(Name|Version|License)'
# An rpm root: rpm itself installs, verifies and erases.
mkdir "$work/rpmroot"
rpm --root "$work/rpmroot" --initdb
rpm --root "$work/rpmroot" --install --nosignature "$rpm"
rpm --root "$work/rpmroot" --verify redlock
cmp "$work/rpmroot/usr/bin/redlock" "$unpacked"
rpm --root "$work/rpmroot" --erase redlock
# cargo-generate-rpm cannot make a package own its directories, so empty ones stay.
[ -z "$(find "$work/rpmroot" -path '*redlock*' ! -type d)" ] || fail 'rpm --erase leaves something'

base=target/dist/debian
if [ ! -e "$base/.complete" ]; then
    # shellcheck disable=SC2016 # It is apt-get that expands it.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Origin: Debian' 'Created-By: Packages' | head -n 1)
    [ -n "$mirror" ] || fail 'apt knows no mirror of Debian: this test needs a Debian machine with one, after apt-get update'
    say "making a root of bookworm from $mirror"
    rm -rf --one-file-system "$base"
    debootstrap --variant=minbase --include=redis-server,bash-completion,fish,zsh bookworm "$base" "$mirror" >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; fail 'debootstrap failed'; }
    touch "$base/.complete"
fi

say 'the .deb in a bare Debian root'
cp "$deb" "$base/tmp/redlock.deb"
# In namespaces that end with it: mounts, processes, the network.
# shellcheck disable=SC2016 # It is the inner shell that expands it.
unshare --mount --pid --net --fork --kill-child chroot "$base" bash -euc '
    mount -t proc proc /proc
    ip link set lo up 2>/dev/null || true
    list() { find / -xdev \( -path /proc -o -path /tmp -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /dev \
        -o -path /root \) -prune -o -print | sort; }
    list >/tmp/before
    dpkg --install /tmp/redlock.deb
    redlock --version
    redlock sandbox -n 3 -- redlock run job -- echo "ran under a lock"
    bash -ic ". /usr/share/bash-completion/bash_completion; _completion_loader redlock; complete -p redlock" 2>/dev/null
    zsh -ic "autoload -Uz compinit; compinit -u; echo zsh: \$_comps[redlock]" 2>/dev/null | tail -n 1 | grep -qx "zsh: _redlock"
    fish -c "complete -C \"redlock ru\"" | grep -q ^run
    test -s /usr/share/doc/redlock/copyright
    dpkg --remove redlock
    dpkg --purge redlock
    list >/tmp/after
    diff /tmp/before /tmp/after'
rm -f "$base"/tmp/{before,after,redlock.deb}
say 'all of it held, and nothing is left'
