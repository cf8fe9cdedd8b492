"""Judges cloud configurations and network configurations as cloud-init's `schema` command does, many in one process.

One JSON string a line comes in, which is a document, and one object a line goes out:

    {"accepted": bool, "errors": [[path, message], ...], "deprecations": [[path, message], ...], "value": ...}

The value is the document as cloud-init reads it, and null where JSON cannot express it. A document that begins with "#network-config" is judged as a network configuration, any other as a cloud-config. Steps are
those of cloudinit.config.schema.validate_cloudconfig_file, without its files.
"""

import json
import logging
import math
import os
import sys

logging.disable(logging.CRITICAL)

import yaml  # noqa: E402
from cloudinit import safeyaml  # noqa: E402
from cloudinit.config import schema as cloudinit  # noqa: E402


class Judge:
    def __init__(self):
        # get_schema reads the file anew each time.
        kinds = cloudinit.SchemaType
        self.schemas = {
            kind: cloudinit.get_schema(kind)
            for kind in (kinds.CLOUD_CONFIG, kinds.NETWORK_CONFIG_V1, kinds.NETWORK_CONFIG_V2)
        }

    def judge(self, text):
        """What is wrong, what is deprecated, and the value."""
        try:
            document = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError) as error:
            return [["", f"YAML: {error}"]], [], None
        if not isinstance(document, dict):
            return [["", "not a mapping"]], [], None
        kind = cloudinit.SchemaType.CLOUD_CONFIG
        if text.startswith("#network-config"):
            if not isinstance(document.get("network", document), dict):
                return [["network", "not a mapping"]], [], None
            version = cloudinit.network_schema_version(document)
            kinds = cloudinit.SchemaType
            kind = kinds.NETWORK_CONFIG_V1 if version == 1 else kinds.NETWORK_CONFIG_V2
        try:
            value = plain(document)
        except ValueError:
            value = None
        try:
            cloudinit.validate_cloudconfig_schema(document, self.schemas[kind], schema_type=kind, strict=True)
        except cloudinit.SchemaValidationError as error:
            errors, deprecations = error.schema_errors or [], error.schema_deprecations or []
            return [list(e) for e in errors], [list(e) for e in deprecations], value
        except TypeError:
            # It sorts what it finds by path, and an index cannot be compared with a key.
            return *self.unsorted(document, self.schemas[kind]), value
        return [], [], value

    @staticmethod
    def unsorted(document, schema):
        validator, formats = cloudinit.get_jsonschema_validator()
        found = {True: [], False: []}
        for error in validator(schema, format_checker=formats()).iter_errors(document):
            path = ".".join(str(part) for part in error.path)
            found[isinstance(error, cloudinit.SchemaDeprecationError)].append([path, error.message])
        return found[False], found[True]


def plain(value):
    """The value as JSON has it. Bytes are strings, as they are for cloud-init."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(plain(key)): plain(of) for key, of in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(of) for of in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(type(value))


def main():
    judge = Judge()
    # cloud-init prints as well.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        errors, deprecations, value = judge.judge(json.loads(line))
        answer = {"accepted": not errors, "errors": errors, "deprecations": deprecations, "value": value}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
