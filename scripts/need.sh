#!/bin/sh
# Makes sure that programs are there, for example: scripts/need.sh redis-server sqlite3
#
# On Debian and Ubuntu it says which packages it installs, and installs them, as root or with sudo; it starts no service.
# With DEPS=no in the environment, and elsewhere, it says what to install and fails. valkey-server is as good as
# redis-server.
set -eu

have() {
    command -v "$1" >/dev/null 2>&1 || { [ "$1" = redis-server ] && command -v valkey-server >/dev/null 2>&1; }
}

missing() {
    # Servers are not in everybody's path.
    PATH="$PATH:/usr/sbin:/sbin"
    for program; do
        have "$program" || printf '%s ' "$program"
    done
}

say() {
    printf 'need: %s\n' "$*" >&2
}

# What a program comes with, for this package manager.
package() {
    case "$1 $2" in
    'apt-get redis-server') apt-cache show redis-server >/dev/null 2>&1 && echo redis-server || echo valkey-server ;;
    'apt-get cc') echo gcc libc6-dev ;;
    'apt-get ip') echo iproute2 ;;
    'apt-get node' | 'zypper node' | 'dnf node' | 'pacman node') echo nodejs ;;
    'apt-get ps') echo procps ;;
    'dnf redis-server' | 'pacman redis-server') echo valkey ;;
    'apt-get sshd' | 'zypper sshd' | 'dnf sshd') echo openssh-server ;;
    *' sshd') echo openssh ;;
    *' redis-server') echo redis ;;
    'apt-get '*) echo "$2" ;;
    *' sqlite3') echo sqlite ;;
    *' cc') echo gcc ;;
    'dnf ip') echo iproute ;;
    *' ip') echo iproute2 ;;
    'dnf ps' | 'pacman ps') echo procps-ng ;;
    *' ps') echo procps ;;
    *) echo "$2" ;;
    esac
}

packages() {
    manager=$1
    shift
    for program; do
        package "$manager" "$program"
    done | tr '\n' ' '
}

# How to get the programs where this script does not install them.
advise() {
    say "not found: $*"
    for install in 'apt-get install' 'dnf install' 'pacman -S' 'apk add' 'zypper install' 'brew install'; do
        command -v "${install%% *}" >/dev/null 2>&1 || continue
        say "install it, as root where that is usual: $install $(packages "${install%% *}" "$@")"
        return
    done
    say "install it with the package manager of your system: $*"
}

# A package of a server starts it, and at every boot; what needs it here starts servers of its own.
keep_services_from_starting() {
    policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    trap '$root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
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
if [ "${DEPS-}" = no ] || [ "$root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    advise "$@"
    exit 1
fi

root="$root env DEBIAN_FRONTEND=noninteractive"
# A source that cannot be reached may not matter; the installation will tell.
$root apt-get update -qq >/dev/null || say 'apt-get update failed; going on with the lists there are'
packages=$(packages apt-get "$@")
say "installing from Debian's packages: $packages(DEPS=no installs nothing)"
keep_services_from_starting

# shellcheck disable=SC2086
$root apt-get install -y -qq --no-install-recommends $packages >/dev/null </dev/null
for service in redis-server valkey-server ssh; do
    case " $packages " in
    *" $service "* | *" open$service-server "*) $root update-rc.d "$service" disable >/dev/null 2>&1 || true ;;
    esac
done

# shellcheck disable=SC2046
set -- $(missing "$@")
[ $# -eq 0 ] || { say "still missing after the installation: $*"; exit 1; }
