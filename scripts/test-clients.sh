#!/bin/sh
# Runs redlock beside other Redlock clients on one key: scripts/test-clients.sh REDLOCK SECONDS [CLIENT…]
#
# Three are packages of PyPI, three of npm; they go below target/clients. Each client has SECONDS of sections, and no two
# sections may overlap.
set -eu

redlock=${1:?usage: test-clients.sh REDLOCK SECONDS [CLIENT...]}
seconds=${2:?usage: test-clients.sh REDLOCK SECONDS [CLIENT...]}
shift 2
cd "$(dirname "$0")/.."
scripts/need.sh redis-server python3 node npm
packages=target/clients

python() {
    [ -x "$packages/$1/bin/pip" ] || python3 -m venv "$packages/$1"
    "$packages/$1/bin/pip" install --quiet --disable-pip-version-check "$1"
}

node() {
    folder=$packages/$1
    mkdir -p "$folder"
    [ -e "$folder/package.json" ] || echo '{"private": true}' >"$folder/package.json"
    npm install --silent --no-fund --no-audit --prefix "$folder" "$2" ioredis@5
}

python redlock-py
python redlock-ng
python pottery
node node-redlock-4 redlock@4
node node-redlock-5 redlock@5.0.0-beta.2
node redlock-universal redlock-universal
exec python3 scripts/clients/run.py "$redlock" "$packages" "$seconds" "$@"
