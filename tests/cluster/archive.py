"""Pack a directory tree as a container image: one layer in an OCI layout, in one tar file."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def write_image(
    tree: Path, target: Path, *, names: Sequence[str], config: dict[str, Any], work: Path
) -> None:
    """Write a tree as an image tar that `ctr images import` takes.

    Args:
        tree: The root of the image's files.
        target: The tar file to write.
        names: Fully qualified names, such as `docker.io/library/python:3.11-slim`.
        config: The image's `Env`, `Cmd`, `Entrypoint`.
        work: A directory on the disk for the layer while it is hashed.
    """
    layer = work / "layer.tar"
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(tree, arcname=".", filter=_keep)
    digest = hashlib.sha256()
    with layer.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    layer_digest = f"sha256:{digest.hexdigest()}"
    machine = platform.machine()
    image = _json(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, image),
            "layers": [
                {
                    "mediaType": _LAYER,
                    "digest": layer_digest,
                    "size": layer.stat().st_size,
                }
            ],
        }
    )
    entries = [
        {
            **_descriptor(_MANIFEST, manifest),
            "annotations": {"io.containerd.image.name": name},
        }
        for name in names
    ]
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries})
    with tarfile.open(target, "w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", index)
        for blob in (manifest, image):
            _add(tar, _blob(_digest(blob)), blob)
        tar.add(layer, arcname=_blob(layer_digest))


def _keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # The runtime mounts its own /dev. The mtimes are kept: otherwise, compiled Python files would be stale.
    return None if member.name.startswith("./dev/") else member


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
