#!/bin/sh
# Makes sure that programs are there, for example: scripts/need.sh redis-server sqlite3
#
# On Debian and Ubuntu it installs what is missing, as root or with sudo, and starts no service. Elsewhere it says what
# to install and fails. valkey-server is as good as redis-server.
set -eu

have() {
    command -v "$1" >/dev/null 2>&1 || { [ "$1" = redis-server ] && command -v valkey-server >/dev/null 2>&1; }
}

missing() {
    # Servers are not in everybody's path.
    PATH="$PATH:/usr/sbin"
    for program; do
        have "$program" || printf '%s ' "$program"
    done
}

say() {
    printf 'need: %s\n' "$*" >&2
}

# How to get a program on a system whose packages this script does not install.
advise() {
    say "not found: $*"
    for manager in 'dnf install' 'pacman -S' 'apk add' 'zypper install' 'brew install' 'apt-get install'; do
        command -v "${manager%% *}" >/dev/null 2>&1 || continue
        packages=
        for program; do
            case "$manager $program" in
            'apt-get install '*) packages="$packages $program" ;;
            'dnf install redis-server' | 'pacman -S redis-server') packages="$packages valkey" ;;
            *' redis-server') packages="$packages redis" ;;
            *' sqlite3') packages="$packages sqlite" ;;
            'apk add sshd' | 'pacman -S sshd' | 'brew install sshd') packages="$packages openssh" ;;
            *' sshd') packages="$packages openssh-server" ;;
            *) packages="$packages $program" ;;
            esac
        done
        say "install it, as root where that is usual: $manager$packages"
        return
    done
    say 'install it with the package manager of your system'
}

# Redis would start by itself on port 6379 and at every boot; what needs it here starts servers of its own.
keep_redis_from_starting() {
    policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    trap '$root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    # shellcheck disable=SC2016 # It is the installed script that expands it.
    printf '#!/bin/sh\ncase "$*" in *redis*|*valkey*) exit 101 ;; esac\nexit 0\n' | $root tee "$policy" >/dev/null
    $root chmod 755 "$policy"
}

# shellcheck disable=SC2046,SC2086 # Lists of words, here and below: $(missing …), $root and $packages.
set -- $(missing "$@")
[ $# -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    root=
elif sudo -n true 2>/dev/null; then
    root='sudo -n'
else
    root=none
fi
if [ "$root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    advise "$@"
    exit 1
fi

say "installing $*"
root="$root env DEBIAN_FRONTEND=noninteractive"
# A source that cannot be reached may not matter; the installation will tell.
$root apt-get update -qq >/dev/null || say 'apt-get update failed; going on with the lists there are'

packages=
for program; do
    if [ "$program" = redis-server ]; then
        keep_redis_from_starting
        apt-cache show redis-server >/dev/null 2>&1 || program=valkey-server
        server=$program
    fi
    [ "$program" != sshd ] || program=openssh-server
    packages="$packages $program"
done

# shellcheck disable=SC2086
$root apt-get install -y -qq --no-install-recommends $packages >/dev/null </dev/null
if [ -n "${server-}" ]; then
    $root update-rc.d "$server" disable >/dev/null 2>&1 || true
fi

for program; do
    have "$program" || { say "$program is still missing after the installation"; exit 1; }
done
