#!/usr/bin/env python3
"""Prints a software bill of materials: every crate that the controller and the plugin link in, as CycloneDX 1.5.

Build scripts' and tests' dependencies are not part of what is shipped.
"""

import json
import subprocess
import tomllib

SHIPPED = ["wva-controller", "kubectl-wva"]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def linked():
    """Name and version of each crate that is linked in."""
    packages = [argument for name in SHIPPED for argument in ("-p", name)]
    tree = run("cargo", "tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}", *packages)
    words = (line.split() for line in tree.splitlines() if line)
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def checksums():
    """What the registry said of each crate's archive; ours have none."""
    with open("Cargo.lock", "rb") as file:
        packages = tomllib.load(file)["package"]
    return {(p["name"], p["version"]): p["checksum"] for p in packages if "checksum" in p}


def component(package, checksum):
    name, version = package["name"], package["version"]
    made = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:cargo/{name}@{version}",
        "licenses": [{"expression": package["license"]}] if package.get("license") else [],
    }
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return made


def main():
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1"))
    wanted = linked()
    known = checksums()
    packages = [p for p in metadata["packages"] if (p["name"], p["version"]) in wanted]
    own = next(p for p in metadata["packages"] if p["name"] == SHIPPED[0])
    print(json.dumps({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": own["name"], "version": own["version"]}},
        "components": sorted((component(p, known.get((p["name"], p["version"]))) for p in packages), key=lambda c: (c["name"], c["version"])),
    }, indent=2))


main()
