"""Batch mode: the cell is embedded in the pod, because no stream to the pod is allowed. Pure.

The runner's program is in arguments of the command. The cell and its inputs are an annotation, which
the kubelet writes to a file (downward API). ``log_channel.py`` reads the output.
Sources: https://kubernetes.io/docs/concepts/storage/volumes/#downwardapi; the annotations of an
object may have 256 KiB in all (TotalAnnotationSizeLimitB of the API server).
"""

from __future__ import annotations

import base64
import copy
from dataclasses import replace

from ..errors import InputError
from ..manifest.labels import CELL_ANNOTATION, CELL_VOLUME
from ..manifest.pod_manifest import PodManifest
from ..runner.bundle import MINOR, runner_program
from .job import Job, job_frames

FOLDER, FILE = "/var/podtask", "cell"
MAX_CELL_BYTES = 160_000  # base64 makes it a third more
MAX_ARGUMENT_CHARS = 100_000  # Linux limits one argument to 128 KiB


def embed_job(manifest: PodManifest, job: Job) -> PodManifest:
    """Return a copy of a pod with a job embedded.

    Args:
        manifest: The pod.
        job: The job of the cell.

    Raises:
        InputError: The cell and its inputs are too large for an annotation.
    """
    data = b"".join(b"".join(frame) for frame in job_frames(job, 0))
    if len(data) > MAX_CELL_BYTES:
        raise InputError(
            f"The cell and its inputs have {len(data) / 1e3:,.0f} kB; the limit of batch mode is "
            f"{MAX_CELL_BYTES / 1e3:.0f} kB.",
            "Load the data in the cell, or ask for a Role with pods/portforward or pods/exec "
            "(get and create).",
        )
    pod = copy.deepcopy(manifest.pod)
    pod["metadata"]["annotations"][CELL_ANNOTATION] = base64.b64encode(data).decode()
    item = {"path": FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{CELL_ANNOTATION}']"}}
    pod["spec"].setdefault("volumes", []).append({"name": CELL_VOLUME, "downwardAPI": {"items": [item]}})
    primary = next(each for each in pod["spec"]["containers"] if each["name"] == manifest.primary)
    mount = {"name": CELL_VOLUME, "mountPath": FOLDER, "readOnly": True}
    primary.setdefault("volumeMounts", []).append(mount)
    program = base64.b64encode(runner_program(compiled=False)).decode()
    field = "command" if "command" in primary else "args"
    parts = [
        program[start : start + MAX_ARGUMENT_CHARS] for start in range(0, len(program), MAX_ARGUMENT_CHARS)
    ]
    primary[field] = [*primary[field], *parts, MINOR, f"{FOLDER}/{FILE}"]
    return replace(manifest, pod=pod)
