"""Writes an image of a container with one layer, as a tar archive of an OCI image layout.

    oci.py OUTPUT --root DIRECTORY --architecture NAME --epoch SECONDS --reference NAME:TAG --config JSON

DIRECTORY is what the container sees. JSON is the `config` of the image: Cmd, Entrypoint, Labels and the like. Equal input makes
equal bytes: entries are sorted, belong to root, and have the date of the epoch.

Source: OCI Image Format Specification 1.0: image-layout.md, manifest.md, config.md, layer.md.
"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

MEDIA = "application/vnd.oci.image."


def entry(name, epoch, mode, content=None):
    """An entry of an archive and what it contains; without content, a directory."""
    info = tarfile.TarInfo(name)
    info.mtime, info.mode = epoch, mode
    if content is None:
        info.type = tarfile.DIRTYPE
        return info, None
    info.size = len(content)
    return info, io.BytesIO(content)


def archive(entries):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in entries:
            tar.addfile(info, content)
    return output.getvalue()


def layer(root, epoch):
    """Files and directories of the container. Nothing else is in it."""
    paths = sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts)
    return archive(
        entry(
            str(path.relative_to(root)),
            epoch,
            path.stat().st_mode & 0o7777,
            None if path.is_dir() else path.read_bytes(),
        )
        for path in paths
    )


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Layout:
    def __init__(self):
        self.blobs = {}

    def add(self, kind, content):
        """Adds a blob and returns its descriptor."""
        name = digest(content)
        self.blobs[name] = content
        return {"mediaType": MEDIA + kind, "digest": name, "size": len(content)}


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def build(arguments):
    layout = Layout()
    unpacked = layer(arguments.root, arguments.epoch)
    packed = layout.add("layer.v1.tar+gzip", gzip.compress(unpacked, 9, mtime=0))
    created = datetime.datetime.fromtimestamp(arguments.epoch, datetime.timezone.utc)
    platform = {"architecture": arguments.architecture, "os": "linux"}
    config = {
        **platform,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "config": json.loads(arguments.config),
        "rootfs": {"type": "layers", "diff_ids": [digest(unpacked)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MEDIA + "manifest.v1+json",
        "config": layout.add("config.v1+json", as_json(config)),
        "layers": [packed],
    }
    described = {
        **layout.add("manifest.v1+json", as_json(manifest)),
        "platform": platform,
        # skopeo looks for the first, which has no host. containerd reads the second, and podman either of them, depending on its
        # version. `localhost` is the host that podman gives to a name without one: the image comes from no registry.
        "annotations": {
            "org.opencontainers.image.ref.name": arguments.reference,
            "io.containerd.image.name": "localhost/" + arguments.reference,
        },
    }
    index = {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": [described]}

    epoch = arguments.epoch
    entries = [entry("blobs", epoch, 0o755), entry("blobs/sha256", epoch, 0o755)]
    for name, content in sorted(layout.blobs.items()):
        entries.append(entry("blobs/" + name.replace(":", "/"), epoch, 0o644, content))
    entries.append(entry("index.json", epoch, 0o644, as_json(index)))
    entries.append(entry("oci-layout", epoch, 0o644, as_json({"imageLayoutVersion": "1.0.0"})))
    arguments.output.write_bytes(archive(entries))


parser = argparse.ArgumentParser()
parser.add_argument("output", type=pathlib.Path)
parser.add_argument("--root", type=pathlib.Path, required=True)
parser.add_argument("--architecture", required=True)
parser.add_argument("--epoch", type=int, required=True)
parser.add_argument("--reference", required=True)
parser.add_argument("--config", required=True)
build(parser.parse_args())
