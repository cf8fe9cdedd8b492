"""Judges cloud configurations and network configurations as cloud-init's `schema` command does, many in one process.

    judge.py VERSION        VERSION: new or old, below target/cloud-init

One JSON string a line comes in, which is a document, and one object a line goes out:

    {"accepted": bool, "errors": [[path, message], ...], "deprecations": [[path, message], ...]}

A document that begins with "#network-config" is judged as a network configuration, any other as a cloud-config. Steps are
those of cloudinit.config.schema.validate_cloudconfig_file, without its files.
"""

import json
import logging
import os
import sys

logging.disable(logging.CRITICAL)

import yaml  # noqa: E402
from cloudinit import safeyaml  # noqa: E402
from cloudinit.config import schema as cloudinit  # noqa: E402


class Judge:
    def __init__(self):
        # get_schema reads the file anew each time.
        self.newest = hasattr(cloudinit, "SchemaType")
        self.schemas = {}

    def schema(self, kind):
        if kind not in self.schemas:
            self.schemas[kind] = cloudinit.get_schema(kind) if self.newest else cloudinit.get_schema()
        return self.schemas[kind]

    def judge(self, text):
        try:
            load = yaml.safe_load if self.newest else safeyaml.load
            document = load(text)
        except (yaml.YAMLError, ValueError) as error:
            return [["", f"YAML: {error}"]], []
        if not isinstance(document, dict):
            return [["", "not a mapping"]], []
        options = {}
        kind = None
        if self.newest:
            kind = cloudinit.SchemaType.CLOUD_CONFIG
            if text.startswith("#network-config"):
                version = cloudinit.network_schema_version(document)
                kind = {
                    1: cloudinit.SchemaType.NETWORK_CONFIG_V1,
                    2: cloudinit.SchemaType.NETWORK_CONFIG_V2,
                }.get(version)
                if kind is None:
                    return [["version", f"version {version}"]], []
            options["schema_type"] = kind
        try:
            cloudinit.validate_cloudconfig_schema(document, self.schema(kind), strict=True, **options)
        except cloudinit.SchemaValidationError as error:
            return [list(e) for e in error.schema_errors or []], [list(e) for e in error.schema_deprecations or []]
        except TypeError:
            # It sorts what it finds by path, and an index cannot be compared with a key.
            return self.unsorted(document, self.schema(kind))
        return [], []

    @staticmethod
    def unsorted(document, schema):
        validator, formats = cloudinit.get_jsonschema_validator()
        found = {True: [], False: []}
        for error in validator(schema, format_checker=formats()).iter_errors(document):
            path = ".".join(str(part) for part in error.path)
            found[isinstance(error, cloudinit.SchemaDeprecationError)].append([path, error.message])
        return found[False], found[True]


def main():
    judge = Judge()
    # cloud-init prints as well.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        errors, deprecations = judge.judge(json.loads(line))
        answer = {"accepted": not errors, "errors": errors, "deprecations": deprecations}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
