#!/bin/sh
# Writes all that three servers and any number of hosts need: prepare.sh [--durable] OUT NAME=ADDRESS NAME=ADDRESS NAME=ADDRESS…
#
#   prepare.sh out lock-1=10.0.0.11 lock-2=10.0.0.12 lock-3=10.0.0.13
#
#   OUT/NAME/   what goes to /etc/redlock-server of that server: its configuration, users, certificate and unit
#   OUT/host/   what goes to /etc/redlock of every host that runs redlock
#   OUT/keep/   the key of the CA and the passwords. Keep it, and not on a server.
#
# Run again it makes the certificates anew and keeps the CA and the passwords, so the names may be others than before.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    echo 'usage: prepare.sh [--durable] OUT NAME=ADDRESS NAME=ADDRESS NAME=ADDRESS…' >&2
    exit 64
}

durable=no
if [ "${1-}" = --durable ]; then
    durable=yes
    shift
fi
[ $# -ge 4 ] || usage
out=$1
shift
mkdir -p "$out/keep"
out=$(cd "$out" && pwd)

"$here/certificates.sh" "$out/keep/ca" "$@"

# password USER: made once. Of hexadecimal digits, so that it needs no quotes in a URL.
password() {
    [ -s "$out/keep/$1.password" ] || openssl rand -hex 24 >"$out/keep/$1.password"
    cat "$out/keep/$1.password"
}

# What a file of users holds is a hash.
hash_of() {
    printf %s "$(password "$1")" | openssl dgst -sha256 -r | cut -d ' ' -f 1
}

urls=
for server; do
    name=${server%%=*} address=${server#*=}
    to=$out/$name
    rm -rf "$to"
    mkdir -p "$to/tls"
    sed "s/^bind .*/bind $address 127.0.0.1/" "$here/redis.conf" >"$to/redis.conf"
    [ "$durable" = no ] || cat "$here/durable.conf" >>"$to/redis.conf"
    sed "s/REDLOCK_PASSWORD_SHA256/$(hash_of redlock)/; s/OPERATOR_PASSWORD_SHA256/$(hash_of operator)/" \
        "$here/users.acl" >"$to/users.acl"
    cp "$out/keep/ca/ca.crt" "$to/tls/ca.crt"
    cp "$out/keep/ca/$name.crt" "$to/tls/server.crt"
    cp "$out/keep/ca/$name.key" "$to/tls/server.key"
    cp "$here/redlock-server.service" "$to"
    urls="$urls${urls:+, }\"rediss://$name:6379\""
done

rm -rf "$out/host"
mkdir -p "$out/host"
guard=1m
[ "$durable" = no ] || guard=off
sed "s|^urls = .*|urls = [$urls]|; s/^restart-guard = .*/restart-guard = \"$guard\"/" "$here/config.toml" \
    >"$out/host/config.toml"
cp "$out/keep/ca/ca.crt" "$out/host/ca.crt"
password redlock >"$out/host/password"
