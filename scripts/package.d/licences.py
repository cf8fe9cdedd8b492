"""Prints the licences of the packages that the programs are built of, with the texts that those packages contain.

    licences.py TARGET [--debian]

TARGET is the platform that is built for, as rustc names it. With --debian, the text of the Apache License is left out, since
every Debian has it.
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys

# The program with every command. That of a guest has a part of its packages.
FEATURES = "cli,policy"
NAMES = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
COPYRIGHT = re.compile(r"^\W*copyright\s+(\(c\)|©|\d{4}|the\b)", re.IGNORECASE)


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def built_of(target):
    """The packages that the program needs to be compiled, without itself, by name and version."""
    # The tree knows the features that the program has without its tests, and the metadata where the packages are.
    tree = ["tree", "--locked", "--target", target, "--no-default-features", "--features", FEATURES]
    lines = cargo(*tree, "--edges=normal", "--prefix=none", "--no-dedupe", "--format={p}").splitlines()
    wanted = {tuple(line.split()[:2]) for line in lines[1:]}
    metadata = json.loads(cargo("metadata", "--format-version=1", "--locked", "--filter-platform", target))
    packages = [package for package in metadata["packages"] if (package["name"], "v" + package["version"]) in wanted]
    assert len(packages) == len(wanted), "cargo tree and cargo metadata do not name the same packages"
    return sorted(packages, key=lambda package: (package["name"], package["version"]))


def texts(package):
    """The files with licences in a package, without spaces at the ends of lines."""
    directory = pathlib.Path(package["manifest_path"]).parent
    paths = [path for path in directory.iterdir() if NAMES.match(path.name)]
    for path in list(paths):
        if path.is_dir():
            paths.extend(path.iterdir())
    named = package["license_file"]
    if named and directory / named not in paths:
        paths.append(directory / named)
    for path in sorted(path for path in paths if path.is_file() and path.suffix not in (".rs", ".html")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        yield "\n".join(line.rstrip() for line in lines).strip("\n")


def is_apache(text):
    return "Apache License" in text and "END OF TERMS AND CONDITIONS" in text


def shown(text, debian):
    if not (debian and is_apache(text)):
        return text
    # With what somebody may have written above or below it.
    owners = [line.strip() for line in text.splitlines() if COPYRIGHT.match(line) and "[" not in line and "{" not in line]
    return "\n".join([*owners, "Apache License, Version 2.0: see /usr/share/common-licenses/Apache-2.0"])


def main():
    target, debian = sys.argv[1], "--debian" in sys.argv[2:]
    packages = built_of(target)
    # A text that many packages have is printed once.
    numbers, ordered = {}, []
    print("Packages\n========\n")
    for package in packages:
        refers = []
        for text in texts(package):
            text = shown(text, debian)
            digest = hashlib.sha256(text.encode()).digest()
            if digest not in numbers:
                numbers[digest] = len(numbers) + 1
                ordered.append(text)
            if numbers[digest] not in refers:
                refers.append(numbers[digest])
        licence = package["license"] or "see the text"
        where = "text " + ", ".join(map(str, refers)) if refers else "the package contains no text"
        print(f"{package['name']} {package['version']}: {licence} ({where})")
        if package["authors"]:
            print("    " + ", ".join(package["authors"]))
    for number, text in enumerate(ordered, 1):
        title = f"Text {number}"
        print(f"\n{title}\n{'=' * len(title)}\n\n{text}")


main()
