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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from ..errors import InputError
from ..manifest.labels import CELL_ANNOTATION, CELL_VOLUME, ENCLOSED_ANNOTATION, PARTS_ANNOTATION
from ..manifest.pod_manifest import PodManifest
from ..manifest.task_secrets import PART_KEY, CellPart, format_sizes, part_name, shared_name
from ..runner import protocol
from ..runner.bundle import MINOR, runner_program
from ..runner.protocol import ANY_PYTHON
from .job import Job, run_frame

FOLDER, FILE = "/var/podtask", "cell"
MAX_ANNOTATION_BYTES = 160_000  # base64 makes it a third more
MAX_ARGUMENT_CHARS = 100_000  # Linux limits one argument to 128 KiB
MAX_PART_BYTES = 900_000  # of one Secret
MAX_PARTS = 8
MIN_SHARED_BYTES = (
    300_000  # of a piece of the inputs, compressed, which has Secrets that other tasks can share
)


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


@dataclass(frozen=True)
class Enclosure:
    """An enclosed cell, compressed.

    Args:
        own: What no other cell has: a line of JSON with the places of everything else, and small inputs.
        large_inputs: Large pieces of the inputs. Equal pieces of other cells have equal bytes here.
    """

    own: bytes = field(repr=False)
    large_inputs: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def all_bytes(self) -> bytes:
        """The whole enclosure, as the runner reads it."""
        return b"".join([self.own, *self.large_inputs])


def pack_enclosure(cells: Sequence[EnclosedCell], max_bytes: int, batch: bool = False) -> Enclosure | None:
    """Return the enclosure of a cell, compressed; None if it is too large.

    Args:
        cells: The cell for each version of Python; the first one that suits the pod runs.
        max_bytes: Maximum size of the enclosure.
        batch: Whether no notebook can connect, and the output goes to the log.
    """
    packing = _Packing(max_bytes)
    try:
        places = [packing.add(cell.job) for cell in cells]
    except _TooLarge:
        return None
    listed = [
        {
            "python": cell.python,
            "refusal": cell.refusal,
            "inputs": cell.job.inputs_id if cell.job else None,
            "segments": [(*packing.span_of(is_large, index), offset) for is_large, index, offset in of_cell],
        }
        for cell, of_cell in zip(cells, places, strict=True)
    ]
    head = json.dumps({"batch": batch, "cells": listed}).encode() + b"\n"
    if len(head) + packing.size > max_bytes:
        return None
    return Enclosure(b"".join([head, *packing.own]), tuple(packing.large))


class _TooLarge(Exception):
    """The enclosure exceeds its maximum size."""


class _Packing:
    """Compresses cells, until they are too large.

    Args:
        max_bytes: Maximum size of all segments.
    """

    def __init__(self, max_bytes: int) -> None:
        self.own: list[bytes] = []
        self.large: list[bytes] = []
        self.size = 0
        self._max_bytes = max_bytes
        self._packed: list[
            tuple[bytes | memoryview, bool, int]
        ] = []  # piece of inputs, its list and index there

    def add(self, job: Job | None) -> list[tuple[bool, int, int | None]]:
        """Compress a job; return for each segment whether it is a large piece, its index, and its offset in the inputs.

        Raises:
            _TooLarge: It is too large, together with those before.
        """
        places: list[tuple[bool, int, int | None]] = []
        for offset, data in _segments(job) if job is not None else ():
            if offset is None:
                self.own.append(self._compress(data))
                places.append((False, len(self.own) - 1, None))
            else:
                places.append((*self._add_piece(data[0]), offset))
        return places

    def span_of(self, is_large: bool, index: int) -> tuple[int, int]:
        """Return where a segment starts and ends after the head."""
        before = [*self.own, *self.large[:index]] if is_large else self.own[:index]
        start = sum(map(len, before))
        return start, start + len((self.large if is_large else self.own)[index])

    def _add_piece(self, piece: bytes | memoryview) -> tuple[bool, int]:
        """Compress a piece of inputs, unless an equal one is there, of this cell or for another version of Python."""
        for known, is_large, index in self._packed:
            if known == piece:
                return is_large, index
        packed = self._compress(_slices(piece))
        is_large = len(packed) >= MIN_SHARED_BYTES
        kept = self.large if is_large else self.own
        kept.append(packed)
        self._packed.append((piece, is_large, len(kept) - 1))
        return is_large, len(kept) - 1

    def _compress(self, data: Iterable[bytes | memoryview]) -> bytes:
        packer = zlib.compressobj()
        pieces = []
        for each in chain(map(packer.compress, data), map(packer.flush, [zlib.Z_FINISH])):
            pieces.append(each)
            self.size += len(each)
            if self.size > self._max_bytes:  # do not compress the rest of large inputs
                raise _TooLarge
        return b"".join(pieces)


def _segments(job: Job) -> Iterator[tuple[int | None, list[bytes | memoryview]]]:
    """Yield the segments of a job, in order: None and frames; or an offset in the inputs, and a large piece there."""
    frames: list[bytes | memoryview] = [run_frame(job)]
    position = 0
    for piece in job.inputs:
        if len(piece) >= MIN_SHARED_BYTES:
            yield None, frames
            frames = []
            yield position, [piece]
        else:
            meta = {"id": job.inputs_id, "offset": position}
            frames += [protocol.encode_head(protocol.BLOB, meta, len(piece)), piece]
        position += len(piece)
    yield None, frames


def _slices(piece: bytes | memoryview) -> Iterator[memoryview]:
    """Yield a piece in slices: a large one that is too large is not compressed as a whole."""
    view = memoryview(piece)
    for start in range(0, len(view), protocol.MAX_DATA):
        yield view[start : start + protocol.MAX_DATA]


def max_enclosure_bytes() -> int:
    """Return the maximum size of an enclosure in Secrets, beside the program."""
    return MAX_PARTS * MAX_PART_BYTES - len(runner_program(compiled=False))


def enclose_in_secrets(
    manifest: PodManifest, enclosure: Enclosure, key: bytes = b""
) -> tuple[PodManifest, list[CellPart]]:
    """Return a copy of a pod that reads a cell from Secrets, and the parts that are the content of these.

    The volume is optional: the pod starts without the Secrets, too. The runner then waits for them, and for a notebook
    that has the cell. The kubelet adds Secrets that are late within about a minute.

    Args:
        manifest: The pod, with the name of its task.
        enclosure: The cell, of at most :func:`max_enclosure_bytes`.
        key: The user's key for the names of Secrets that tasks share; empty if this task shares none.
    """
    program = runner_program(compiled=False)
    parts = _cut(manifest.name, program + enclosure.own, enclosure.large_inputs, key) if key else []
    if not 0 < len(parts) <= MAX_PARTS:
        parts = _cut(manifest.name, program + enclosure.all_bytes)
    sources = [
        {
            "secret": {
                "name": part.name,
                "items": [{"key": PART_KEY, "path": str(index)}],
                "optional": True,
            }
        }
        for index, part in enumerate(parts)
    ]
    paths = " ".join(f"{FOLDER}/{index}" for index in range(len(parts)))
    arguments = [hashlib.sha256(program + enclosure.all_bytes).hexdigest(), paths]
    mounting = _mounting(manifest, {"projected": {"sources": sources}}, arguments)
    mounting.pod["metadata"]["annotations"][PARTS_ANNOTATION] = format_sizes(parts)
    return mounting, parts


def _cut(task: str, own: bytes, large_inputs: Iterable[bytes] = (), key: bytes = b"") -> list[CellPart]:
    """Return the parts of an enclosed cell, each for one Secret.

    Args:
        task: Name of the task.
        own: What the task does not share.
        large_inputs: What it shares.
        key: The user's key for names of shared Secrets.
    """
    parts = [CellPart(part_name(task, index), part) for index, part in enumerate(_in_parts(own))]
    for piece in large_inputs:
        parts += [CellPart(shared_name(key, part), part, is_shared=True) for part in _in_parts(piece)]
    return parts


def _in_parts(content: bytes) -> list[bytes]:
    return [content[start : start + MAX_PART_BYTES] for start in range(0, len(content), MAX_PART_BYTES)]


def enclose_in_annotation(
    manifest: PodManifest, enclosure: Enclosure, name: str = ENCLOSED_ANNOTATION
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
    written = base64.b64encode(enclosure.all_bytes)
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
