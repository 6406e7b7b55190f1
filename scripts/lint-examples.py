#!/usr/bin/env python3
"""Checks examples/, the files of packaging and .github, and the fenced blocks of the documents, against schemas and linters.

It needs Python packages that only this check uses: scripts/lint-examples.sh makes an environment with them. Linters of other
packages (shellcheck, systemd-analyze, nix-instantiate, terraform, actionlint) are used where they are there, and named where not."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import yaml

BIN = pathlib.Path(sys.executable).parent
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = ["docs/servers.md", "docs/install.md", *map(str, sorted(pathlib.Path("docs/recipes").glob("*.md")))]
failures, missing, checked = [], set(), 0


def run(label, *command, text=None):
    """A linter that has to be content."""
    global checked
    program = BIN / command[0]
    if not program.exists():
        if not shutil.which(command[0]):
            missing.add(command[0])
            return
        program = command[0]
    done = subprocess.run([program, *command[1:]], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    checked += 1
    if done.returncode != 0:
        failures.append(f"{label}: {command[0]}: {done.stdout.strip()}")


def schema(label, kind, path):
    run(label, "check-jsonschema", "--builtin-schema", f"vendor.{kind}", str(path))


def written(text, suffix):
    file = tempfile.NamedTemporaryFile("w", suffix=suffix, delete=False)
    file.write(text)
    file.close()
    return file.name


def shell(label, text):
    # 2016: what an inner shell expands stands in single quotes. 2029: as it is meant to. 1090: files of a host.
    run(label, "shellcheck", "--shell=bash", "--exclude=SC2016,SC2029,SC1090", "-", text=text)


def yaml_block(label, text):
    try:
        list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        failures.append(f"{label}: {error}")
    kinds = {".github/workflows": "github-workflows", ".gitlab-ci": "gitlab-ci", ".buildkite": "buildkite"}
    for start, kind in kinds.items():
        if text.startswith(f"# {start}"):
            schema(label, kind, written(text, ".yml"))


def crontab(label, text):
    for line in text.splitlines():
        is_setting = re.fullmatch(r"[A-Z_]+=.*", line)
        is_job = re.fullmatch(r"([\d*/,-]+ +){5}[a-z]+ +\S.*", line)
        if line and not line.startswith("#") and not is_setting and not is_job:
            failures.append(f"{label}: no line of a crontab: {line}")
        if is_job and re.search(r"(?<!\\)%", line):
            failures.append(f"{label}: a % ends the line: {line}")


def block(label, language, text):
    global checked
    checked += 1
    if language in ("sh", "bash"):
        shell(label, text)
    elif language == "yaml":
        yaml_block(label, text)
    elif language == "toml":
        tomllib.loads(text)
    elif language == "json":
        json.loads(text)
    elif language == "crontab":
        crontab(label, text)
    elif language == "hcl":
        run(label, "terraform", "fmt", "-check", "-", text=text)
    elif language not in ("groovy", "console", "text", "ini", "conf"):
        failures.append(f"{label}: a block of {language}, which nothing checks")


def main():
    for document in DOCUMENTS:
        path = pathlib.Path(document)
        for found in FENCE.finditer(path.read_text()):
            line = path.read_text()[: found.start()].count("\n") + 1
            indent = found[1]
            text = "".join(line.removeprefix(indent) for line in found[3].splitlines(keepends=True))
            block(f"{document}:{line}", found[2], text)
    for path in map(str, pathlib.Path("examples").rglob("*.y*ml")):
        run(path, "yamllint", "--strict", "-c", "packaging/yamllint.yaml", path)
    for path in map(str, pathlib.Path(".github").rglob("*.yml")):
        run(path, "yamllint", "--strict", "-c", "packaging/yamllint.yaml", path)
    for path in ["examples/servers/kubernetes/servers.yaml", *map(str, pathlib.Path("examples/kubernetes").glob("*.yaml"))]:
        run(path, "kubernetes-validate", "--strict", path)
    schema("compose", "compose-spec", "examples/servers/compose.yaml")
    run("ansible", "ansible-lint", "--offline", "examples/servers/ansible/servers.yml")
    for path in pathlib.Path(".github/workflows").glob("*.yml"):
        schema(str(path), "github-workflows", path)
        run(str(path), "actionlint", str(path))
    schema("dependabot", "dependabot", ".github/dependabot.yml")
    schema("action", "github-actions", "action.yml")
    run("Containerfile", "hadolint", "packaging/Containerfile")
    run("PKGBUILD", "shellcheck", "--shell=bash", "--exclude=SC2034,SC2154,SC2164", "packaging/PKGBUILD")
    run("flake.nix", "nix-instantiate", "--parse", "flake.nix")
    run("typos", "typos")
    for unit in ["examples/servers/redlock-server.service", "examples/systemd/nightly-backup.timer"]:
        # Programs and users of other machines are no fault of the unit.
        run(unit, "systemd-analyze", "verify", "--recursive-errors=no", unit)
    crontab("examples/nightly-backup.cron", pathlib.Path("examples/nightly-backup.cron").read_text())
    for tool in sorted(missing):
        print(f"lint-examples: {tool} is not installed: skipped")
    print(f"lint-examples: {checked} checks")
    for failure in failures:
        print(f"lint-examples: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
