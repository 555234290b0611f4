"""Decide how the pod of a detached task brings its cell: in Secrets, in an annotation, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..channel.enclosure import (
    MAX_ANNOTATION_BYTES,
    EnclosedCell,
    enclose_in_annotation,
    enclose_in_secrets,
    max_enclosure_bytes,
    pack_enclosure,
)
from ..config.options import RunOptions
from ..config.quantities import byte_size
from ..manifest import owner_secrets
from ..manifest.pod_manifest import PodManifest
from ..manifest.task_secrets import CellPart
from ..runner.bundle import MINOR
from ..runner.durations import duration
from ..runner.protocol import ANY_PYTHON
from .prepare import PreparedCell

MUST_STAY = "This notebook must stay until the pod has started: {}."
READABLE = (
    "{}. The cell and its inputs are in an annotation of the pod: everyone who may get the pod can read them."
)


@dataclass(frozen=True)
class EnclosedPod:
    """The pod of a detached task.

    Args:
        manifest: The pod.
        parts: What the Secrets that it mounts have.
        note: A line for the user; empty if the cell needs neither this notebook nor an annotation.
    """

    manifest: PodManifest
    parts: Sequence[CellPart] = ()
    note: str = ""


def enclose(
    prepared: PreparedCell, manifest: PodManifest, no_secrets: str, *, shares: bool = True
) -> EnclosedPod:
    """Return the pod of a detached task with its cell enclosed, if that is possible.

    Args:
        prepared: The cell.
        manifest: The pod, with the name of the task.
        no_secrets: Why Secrets cannot be created, as a sentence without its full stop; empty if they can, as far as is known.
        shares: Whether large inputs may be in Secrets that other tasks of the user have, too.
    """
    if no_secrets and prepared.secrets_in_words:
        why = f"{_lowered(no_secrets)}, and {prepared.secrets_in_words} may be kept nowhere else"
        return EnclosedPod(manifest, note=MUST_STAY.format(why))
    limit = MAX_ANNOTATION_BYTES if no_secrets else max_enclosure_bytes()
    cells = prepared.enclosed_cells(manifest.name, manifest.linger_seconds)
    enclosure = pack_enclosure(cells, limit)
    own = [cell for cell in cells if cell.python != ANY_PYTHON]
    if enclosure is None and any(
        cell.job for cell in own
    ):  # for the notebook's version it may be small enough
        only = f"the cell and its inputs are too large to be kept for other versions than {MINOR}, too"
        enclosure = pack_enclosure([*own, EnclosedCell(ANY_PYTHON, None, only)], limit)
    if enclosure is None:
        why = f"its cell and inputs ({byte_size(prepared.inputs_size)}) are too large to be kept "
        why += f"in an annotation, and {_lowered(no_secrets)}" if no_secrets else "in Secrets"
        return EnclosedPod(manifest, note=MUST_STAY.format(why))
    if no_secrets:
        return EnclosedPod(enclose_in_annotation(manifest, enclosure), note=READABLE.format(no_secrets))
    key = owner_secrets.part_key() if shares and enclosure.large_inputs else b""
    return EnclosedPod(*enclose_in_secrets(manifest, enclosure, key))


def describe_keeping(options: RunOptions, linger: float) -> str:
    """Return what is kept of the values of a detached cell, where, and how long.

    Args:
        options: Options of the cell.
        linger: Seconds that its runner waits for a notebook once the cell has ended.
    """
    waits = f"When the cell has ended, its values wait {duration(linger)} for a notebook (--linger)"
    if options.results_in:
        return f"{waits}, and stay in {options.results_in}."
    if options.no_log_result:
        return f"{waits}; then they are lost (--no-log-result). --results-in PATH keeps them on a volume."
    return (
        f"{waits}, and up to 6 MiB of them {duration(options.keep)} in the pod's log (--keep). "
        "--results-in PATH keeps all of them on a volume."
    )


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
