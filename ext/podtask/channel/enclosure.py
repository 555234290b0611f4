"""Enclose a cell in its pod, so that it begins without a notebook. Pure.

The pod brings the runner's program, and the cell and its inputs for the versions of Python that the image may have.
They are in Secrets, which only the primary container mounts, or in arguments and an annotation of the pod, which
the kubelet writes to a file (downward API). ``runner/boot.py`` and ``runner/supervisor/enclosure.py`` read them.
In batch mode no notebook can connect: ``log_channel.py`` reads the output.
Sources: https://kubernetes.io/docs/concepts/storage/projected-volumes/ and
https://kubernetes.io/docs/concepts/storage/volumes/#downwardapi; the annotations of an object may have 256 KiB in
all (TotalAnnotationSizeLimitB of the API server), the data of a Secret 1 MiB (MaxSecretSize).
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from ..manifest.labels import CELL_ANNOTATION, CELL_VOLUME, ENCLOSED_ANNOTATION
from ..manifest.pod_manifest import PodManifest
from ..manifest.task_secrets import PART_KEY, part_name
from ..runner.bundle import MINOR, runner_program
from ..runner.protocol import ANY_PYTHON
from .job import Job, job_frames

FOLDER, FILE = "/var/podtask", "cell"
MAX_ANNOTATION_BYTES = 160_000  # base64 makes it a third more
MAX_ARGUMENT_CHARS = 100_000  # Linux limits one argument to 128 KiB
MAX_PART_BYTES = 900_000  # of one Secret
MAX_PARTS = 8


@dataclass(frozen=True)
class EnclosedCell:
    """A cell for a version of Python.

    Args:
        python: The minor version, such as ``3.11``; ANY_PYTHON for all that no cell before is for.
        job: The job of the cell; None if it cannot run in this version.
        refusal: Why it cannot.
    """

    python: str
    job: Job | None
    refusal: str = ""


def pack_enclosure(cells: Sequence[EnclosedCell], max_bytes: int, batch: bool = False) -> bytes | None:
    """Return the enclosure of a cell, compressed; None if it is too large.

    Args:
        cells: The cell for each version of Python; the first one that suits the pod runs.
        max_bytes: Maximum size of the enclosure.
        batch: Whether no notebook can connect, and the output goes to the log.
    """
    packed: list[bytes] = []
    size = 0
    listed = []
    for cell in cells:
        start = size
        for piece in _compressed(cell.job):
            size += len(piece)
            if size > max_bytes:  # do not compress the rest of large inputs
                return None
            packed.append(piece)
        listed.append({"python": cell.python, "size": size - start, "refusal": cell.refusal})
    head = json.dumps({"batch": batch, "cells": listed}).encode() + b"\n"
    return b"".join([head, *packed]) if len(head) + size <= max_bytes else None


def _compressed(job: Job | None) -> Iterator[bytes]:
    packer = zlib.compressobj()
    for frame in job_frames(job, 0) if job is not None else ():
        for part in frame:
            yield packer.compress(part)
    yield packer.flush()


def max_enclosure_bytes() -> int:
    """Return the maximum size of an enclosure in Secrets, beside the program."""
    return MAX_PARTS * MAX_PART_BYTES - len(runner_program(compiled=False))


def enclose_in_secrets(manifest: PodManifest, enclosure: bytes) -> tuple[PodManifest, list[bytes]]:
    """Return a copy of a pod that reads a cell from Secrets, and the parts that are the content of these.

    The volume is optional: the pod starts without the Secrets, too. The runner then waits for them, and for a notebook
    that has the cell. The kubelet adds Secrets that are late within about a minute.

    Args:
        manifest: The pod, with the name of its task.
        enclosure: The cell, of at most :func:`max_enclosure_bytes`.
    """
    data = runner_program(compiled=False) + enclosure
    parts = [data[start : start + MAX_PART_BYTES] for start in range(0, len(data), MAX_PART_BYTES)]
    sources = [
        {
            "secret": {
                "name": part_name(manifest.name, index),
                "items": [{"key": PART_KEY, "path": str(index)}],
                "optional": True,
            }
        }
        for index in range(len(parts))
    ]
    paths = " ".join(f"{FOLDER}/{index}" for index in range(len(parts)))
    arguments = [hashlib.sha256(data).hexdigest(), paths]
    return _mounting(manifest, {"projected": {"sources": sources}}, arguments), parts


def enclose_in_annotation(
    manifest: PodManifest, enclosure: bytes, name: str = ENCLOSED_ANNOTATION
) -> PodManifest:
    """Return a copy of a pod with a cell in an annotation, and with the program in its arguments.

    Args:
        manifest: The pod.
        enclosure: The cell, of at most MAX_ANNOTATION_BYTES.
        name: Name of the annotation.
    """
    item = {"path": FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{name}']"}}
    program = runner_program(compiled=False)
    text = base64.b64encode(program).decode()
    arguments = [
        text[start : start + MAX_ARGUMENT_CHARS] for start in range(0, len(text), MAX_ARGUMENT_CHARS)
    ]
    written = base64.b64encode(enclosure)
    arguments += [hashlib.sha256(program + written).hexdigest(), f"{FOLDER}/{FILE}"]
    enclosed = _mounting(manifest, {"downwardAPI": {"items": [item]}}, arguments)
    enclosed.pod["metadata"]["annotations"][name] = written.decode()
    return enclosed


def embed_job(manifest: PodManifest, job: Job) -> PodManifest:
    """Return a copy of a pod that runs a job in batch mode.

    Args:
        manifest: The pod.
        job: The job of the cell, for the notebook's version of Python.

    Raises:
        InputError: The cell and its inputs are too large for an annotation.
    """
    cells = [
        EnclosedCell(MINOR, job),
        EnclosedCell(ANY_PYTHON, None, f"batch mode needs the notebook's Python, {MINOR}"),
    ]
    enclosure = pack_enclosure(cells, MAX_ANNOTATION_BYTES, batch=True)
    if enclosure is None:
        raise InputError(
            f"The cell and its inputs have {job.size / 1e3:,.0f} kB; the limit of batch mode is "
            f"{MAX_ANNOTATION_BYTES / 1e3:.0f} kB, compressed.",
            "Load the data in the cell, or ask for a Role with pods/portforward or pods/exec "
            "(get and create).",
        )
    return enclose_in_annotation(manifest, enclosure, CELL_ANNOTATION)


def _mounting(manifest: PodManifest, source: dict[str, Any], arguments: list[str]) -> PodManifest:
    """Return a copy of a pod whose primary container, and no other one, mounts a volume and gets arguments."""
    pod = copy.deepcopy(manifest.pod)
    pod["spec"].setdefault("volumes", []).append({"name": CELL_VOLUME, **source})
    primary = next(each for each in pod["spec"]["containers"] if each["name"] == manifest.primary)
    mount = {"name": CELL_VOLUME, "mountPath": FOLDER, "readOnly": True}
    primary.setdefault("volumeMounts", []).append(mount)
    field = "command" if "command" in primary else "args"
    primary[field] = [*primary[field], *arguments]
    return replace(manifest, pod=pod)
