"""Batch mode: where no stream to a pod is allowed, the cell travels with it. Pure.

The runner's program is an argument of the command, the cell and its inputs are an annotation that
the kubelet writes to a file (downward API). What comes back: see ``readout.py``.
Sources: https://kubernetes.io/docs/concepts/storage/volumes/#downwardapi; all annotations of an
object have room for 256 KiB (TotalAnnotationSizeLimitB of the API server).
"""

from __future__ import annotations

import base64
import copy
from dataclasses import replace

from .errors import InputError
from .job import Job, frames
from .manifest import CELL, Rendered
from .pickles import MINOR
from .program import runner_program

FOLDER, FILE = "/var/podtask", "cell"
MOST = 160_000  # bytes; in base64 a third more
VOLUME = "podtask-cell"


def enclosed(rendered: Rendered, job: Job) -> Rendered:
    """Returns a pod that brings its cell along.

    Args:
        rendered: without it.
        job: the cell.

    Raises:
        InputError: cell and inputs are too large to travel so.
    """
    data = b"".join(frames(job, 0))
    if len(data) > MOST:
        raise InputError(
            f"Cell and inputs have {len(data) / 1e3:,.0f} kB; in batch mode {MOST / 1e3:.0f} kB travel at most.",
            "Load the data in the cell, or ask for a Role with pods/portforward or pods/exec "
            "(get and create).",
        )
    pod = copy.deepcopy(rendered.pod)
    pod["metadata"]["annotations"][CELL] = base64.b64encode(data).decode()
    about = {"path": FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{CELL}']"}}
    pod["spec"].setdefault("volumes", []).append(
        {"name": VOLUME, "downwardAPI": {"items": [about]}}
    )
    primary = next(each for each in pod["spec"]["containers"] if each["name"] == rendered.primary)
    mount = {"name": VOLUME, "mountPath": FOLDER, "readOnly": True}
    primary.setdefault("volumeMounts", []).append(mount)
    program = base64.b64encode(runner_program(compiled=False)).decode()
    part = "command" if "command" in primary else "args"
    primary[part] = [*primary[part], program, MINOR, f"{FOLDER}/{FILE}"]
    return replace(rendered, pod=pod)


def is_batch(rendered: Rendered) -> bool:
    """Whether a pod has brought its cell along."""
    return CELL in rendered.pod["metadata"].get("annotations", {})
