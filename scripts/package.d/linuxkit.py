"""Reads the package of LinuxKit in a directory, which has a build.yml and a Dockerfile.

    linuxkit.py config DIRECTORY            the `config` of its image, as JSON
    linuxkit.py directories DIRECTORY       the directories that the Dockerfile makes, a line each
    linuxkit.py arches DIRECTORY NAME...    its build.yml, for these architectures
"""

import json
import pathlib
import sys

import yaml

# Where LinuxKit looks for what a container needs (linuxkit, docs/packages.md).
LABEL = "org.mobyproject.config"


def instructions(directory):
    """The instructions of the Dockerfile, which has one in a line."""
    lines = (directory / "Dockerfile").read_text().splitlines()
    return [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]


def argument(directory, name):
    return [words[1] for words in instructions(directory) if words[0] == name]


def config(directory):
    label = yaml.safe_load((directory / "build.yml").read_text())["config"]
    command = argument(directory, "CMD")[-1]
    return {
        "Cmd": json.loads(command),
        "Labels": {LABEL: json.dumps(label, sort_keys=True, separators=(",", ":"))},
        "WorkingDir": argument(directory, "WORKDIR")[-1],
    }


def with_arches(directory, names):
    lines = (directory / "build.yml").read_text().splitlines()
    start = lines.index("arches:") + 1
    end = next(at for at in range(start, len(lines)) if not lines[at].startswith("  - "))
    return "\n".join(lines[:start] + [f"  - {name}" for name in names] + lines[end:])


def main():
    directory = pathlib.Path(sys.argv[2])
    match sys.argv[1]:
        case "config":
            print(json.dumps(config(directory)))
        case "directories":
            print("\n".join(path.strip("/") for path in argument(directory, "WORKDIR") if path != "/"))
        case "arches":
            print(with_arches(directory, sys.argv[3:]))


main()
