#!/usr/bin/env bash
# Runs `make demo`, `make test` and `.ci/run` on a bare Debian 12: in a root that debootstrap has just made, twice as root
# and twice as an ordinary user. Run it with `make bare-test`; it needs root, and takes an hour on two cores.
#
# The root has Debian's smallest system and what CONTRIBUTING.md asks for: a C compiler, make, and this machine's Rust.
# The mirror, the proxies and the resolver are those of this machine's own apt. The mounts and the processes live in
# namespaces that end with this script, also if it is killed.
#
# BARE_ROUNDS is what to run, of: refusals root-ci root-test user-test user-again.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SUITE=bookworm
readonly ROUNDS=${BARE_ROUNDS:-refusals root-ci root-test user-test user-again}
readonly USER_NAME=tester

say() {
    printf 'bare-test: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# ---- on this machine -------------------------------------------------------------------------------------------------

mirror() {
    local found
    # shellcheck disable=SC2016 # It is apt-get that expands it.
    found=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $SUITE" 'Origin: Debian' 'Created-By: Packages' | head -n 1)
    [ -n "$found" ] || fail "apt knows no mirror of Debian's $SUITE: this test needs a Debian machine with one, after apt-get update"
    printf '%s' "$found"
}

make_root() {
    local root=$1 mirror
    mirror=$(mirror)
    say "making a root of $SUITE from $mirror"
    debootstrap --variant=minbase --include=gcc,libc6-dev,make "$SUITE" "$root" "$mirror" >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log" >&2; fail "debootstrap failed"; }
    printf 'deb %s %s main\n' "$mirror" "$SUITE" >"$root/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries|ForceIP)' >"$root/etc/apt/apt.conf.d/90host" || true
    rm -f "$root.log"
}

# The toolchain is mounted later; the downloaded packages are copied, since cargo writes there.
bring_cargo() {
    local root=$1 home=${CARGO_HOME:-$HOME/.cargo}
    cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
    mkdir -p "$root/opt/rust" "$root/opt/cargo/registry"
    cp -a "$home/registry/index" "$home/registry/cache" "$root/opt/cargo/registry"
}

# The files of the checkout as they are, without what was built.
bring_checkout() {
    local to=$1
    mkdir -p "$to"
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar --null --files-from=- --create | tar --extract --no-same-owner --directory "$to"
}

# Ends what runs inside, if it does, and with it its mounts; in this namespace nothing is mounted there.
clean_up() {
    [ -z "$inside" ] || { kill -KILL "$inside" 2>/dev/null && wait "$inside" 2>/dev/null; } || true
    rm -rf --one-file-system "$root" "$root.log"
}

on_the_host() {
    [ "$(id -u)" -eq 0 ] || fail 'debootstrap and mounts need root'
    scripts/need.sh debootstrap git
    local base=${CARGO_TARGET_DIR:-target}/bare
    mkdir -p "$base"
    exec 9>"$base/lock"
    flock --nonblock 9 || fail 'another one is running in the same target directory'
    root=$(realpath "$base")/root
    inside=
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    rm -rf --one-file-system "$root"
    make_root "$root"
    bring_cargo "$root"
    bring_checkout "$root/root/redlock"
    # What is inside ends with this script (the parent's death signal), and takes its mounts with it.
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --propagation private \
        "$0" --inside "$root" "$(rustc --print sysroot)" 9>&- &
    inside=$!
    wait "$inside"
}

# ---- in the root -----------------------------------------------------------------------------------------------------

# Makes the root the root of this namespace.
enter() {
    local root=$1 sysroot=$2
    mount --bind "$root" "$root"
    mount --bind --options ro "$sysroot" "$root/opt/rust"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    # Terminals belong to the group tty, as on every Debian machine; this one may be a container.
    mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts "$root/dev/pts"
    mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
    mkdir -p "$root/old"
    cd "$root"
    pivot_root . old
    cd /
    umount --lazy /old
    rmdir /old
}

# Runs a command in the checkout as this user, with the environment of a fresh login.
as() {
    local user=$1 home=/root
    shift
    [ "$user" = root ] || home=/home/$user
    runuser -u "$user" -- env -i HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash TERM=xterm \
        PATH="/opt/rust/bin:$([ "$user" != root ] || echo /usr/local/sbin:/usr/sbin:/sbin:)/usr/local/bin:/usr/bin:/bin" \
        CARGO_HOME="$home/cargo" CARGO_NET_OFFLINE=true CARGO_PROFILE_DEV_DEBUG=0 \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        bash -c 'cd ~/redlock && exec "$@"' bash "$@" </dev/null
}

# What is on the machine besides what a build and a log may change.
inventory() {
    find / -xdev \( -path /root/redlock/target -o -path /root/cargo -o -path /home -o -path /proc -o -path /sys -o -path /dev \
        -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /opt \) -prune \
        -o -printf '%p %y %m %U:%G %s %T@\n' | grep -vE '^(/|/tmp|/var/tmp|/root|/root/redlock|/run) ' | sort
}

# Says what is missing, installs nothing, and fails.
refusals() {
    local output
    for command in "as $USER_NAME make demo" "as $USER_NAME make test" 'as root make demo DEPS=no' 'as root make test DEPS=no'; do
        if output=$($command 2>&1); then fail "'$command' succeeds without what it needs"; fi
        grep -q 'redis-server' <<<"$output" || fail "'$command' does not say what is missing: $output"
        command -v redis-server >/dev/null && fail "'$command' installs something"
        say "'$command' says: $(grep '^need:' <<<"$output" | tail -n 1)"
    done
    return 0
}

round() {
    local name=$1
    shift
    say "$name: $*"
    SECONDS=0
    if "$@"; then
        say "$name: '$*' held, in $SECONDS s"
    else
        # The other rounds tell more.
        say "$name: '$*' FAILED, in $SECONDS s"
        failed=1
    fi
}

leaves_no_change() {
    local before
    before=$(inventory)
    "$@" || return 1
    # Two lists are compared, and the difference is what is said.
    diff <(printf '%s\n' "$before") <(inventory) >&2 || { say 'the tests changed this on the machine'; return 1; }
}

root_test() {
    as root make demo && as root make test
}

in_the_root() {
    enter "$1" "$2"
    useradd --create-home --shell /bin/bash "$USER_NAME"
    cp -a /opt/cargo /root/cargo
    cp -a /opt/cargo "/home/$USER_NAME/cargo"
    cp -a /root/redlock "/home/$USER_NAME/redlock"
    chown -R "$USER_NAME:$USER_NAME" "/home/$USER_NAME"
    failed=0
    for name in $ROUNDS; do
        case $name in
        refusals) refusals ;;
        root-ci)
            round "$name" as root make demo
            round "$name" as root bash .ci/run
            ;;
        root-test)
            round "$name" as root make needs
            round "$name" leaves_no_change root_test
            ;;
        user-test | user-again)
            round "$name" as "$USER_NAME" make demo
            round "$name" as "$USER_NAME" make test
            ;;
        *) fail "there is no round '$name'" ;;
        esac
    done
    [ "$failed" -eq 0 ] || fail 'not all of it held'
    say "all of it held: $ROUNDS"
}

if [ "${1-}" = --inside ]; then in_the_root "$2" "$3"; else on_the_host; fi
