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

from ..errors import InputError
from ..manifest.labels import CELL_ANNOTATION, CELL_VOLUME, MAX_CELL_BYTES
from ..manifest.pod_manifest import PodManifest
from ..runner.bundle import MINOR, runner_program
from .job import Job, frames

FOLDER, FILE = "/var/podtask", "cell"


def embed_job(manifest: PodManifest, job: Job) -> PodManifest:
    """Returns a pod that brings its cell along.

    Args:
        manifest: without it.
        job: the cell.

    Raises:
        InputError: cell and inputs are too large to travel so.
    """
    data = b"".join(frames(job, 0))
    if len(data) > MAX_CELL_BYTES:
        raise InputError(
            f"Cell and inputs have {len(data) / 1e3:,.0f} kB; in batch mode {MAX_CELL_BYTES / 1e3:.0f} kB travel at most.",
            "Load the data in the cell, or ask for a Role with pods/portforward or pods/exec "
            "(get and create).",
        )
    pod = copy.deepcopy(manifest.pod)
    pod["metadata"]["annotations"][CELL_ANNOTATION] = base64.b64encode(data).decode()
    about = {"path": FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{CELL_ANNOTATION}']"}}
    pod["spec"].setdefault("volumes", []).append({"name": CELL_VOLUME, "downwardAPI": {"items": [about]}})
    primary = next(each for each in pod["spec"]["containers"] if each["name"] == manifest.primary)
    mount = {"name": CELL_VOLUME, "mountPath": FOLDER, "readOnly": True}
    primary.setdefault("volumeMounts", []).append(mount)
    program = base64.b64encode(runner_program(compiled=False)).decode()
    part = "command" if "command" in primary else "args"
    primary[part] = [*primary[part], program, MINOR, f"{FOLDER}/{FILE}"]
    return replace(manifest, pod=pod)
