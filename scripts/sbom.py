#!/usr/bin/env python3
"""Writes what a binary is made of: sbom.py TARGET BOM THIRD_PARTY

BOM is a CycloneDX 1.5 document, THIRD_PARTY the licences of all packages in one file. Both come from `cargo metadata`, and are
the same bytes for the same Cargo.lock and SOURCE_DATE_EPOCH."""

import datetime
import json
import os
import pathlib
import subprocess
import sys

TEXTS = ("license", "licence", "copying", "notice", "unlicense")


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def in_the_binary(data):
    """The ids of the packages that are linked, and for each those that it uses."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    used, todo = {}, [data["resolve"]["root"]]
    while todo:
        package = todo.pop()
        if package in used:
            continue
        linked = [
            dependency["pkg"]
            for dependency in nodes[package]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        used[package] = sorted(linked)
        todo += linked
    return used


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind):
    found = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package["license"]:
        # Older packages write a slash for OR.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return found


def bom(data, used, packages):
    root = packages[data["resolve"]["root"]]
    others = sorted((packages[id] for id in used if packages[id] is not root), key=reference)
    moment = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(root, "application"),
        },
        "components": [component(package, "library") for package in others],
        "dependencies": [
            {"ref": reference(packages[id]), "dependsOn": sorted(reference(packages[other]) for other in used[id])}
            for id in sorted(used, key=lambda id: reference(packages[id]))
        ],
    }


def third_party(data, used, packages):
    root = data["resolve"]["root"]
    parts = ["The binary of redlock contains these packages. Each is followed by its licences.\n"]
    for id in sorted(used, key=lambda id: reference(packages[id])):
        if id == root:
            continue
        package = packages[id]
        parts.append(f"\n{'=' * 80}\n{package['name']} {package['version']}: {package['license']}\n")
        folder = pathlib.Path(package["manifest_path"]).parent
        for text in sorted(folder.iterdir()):
            if text.is_file() and text.name.lower().startswith(TEXTS):
                parts.append(f"{'-' * 80}\n{text.name}\n\n{text.read_text(errors='replace')}")
    return "".join(part if part.endswith("\n") else part + "\n" for part in parts)


def main():
    target, bom_path, third_party_path = sys.argv[1:]
    data = metadata(target)
    packages = {package["id"]: package for package in data["packages"]}
    used = in_the_binary(data)
    text = json.dumps(bom(data, used, packages), indent=1, sort_keys=True) + "\n"
    pathlib.Path(bom_path).write_text(text)
    pathlib.Path(third_party_path).write_text(third_party(data, used, packages))


main()
