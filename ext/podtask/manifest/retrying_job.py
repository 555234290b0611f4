"""The Job of a detached task with retries: it replaces a pod that was lost, without a notebook. Pure.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
"""

from __future__ import annotations

import copy
from typing import Any

from ..diagnosis.queueing import ADMISSION_GATE
from ..runner.protocol import EXIT_PORT_TAKEN
from .labels import PARTS_ANNOTATION
from .pod_manifest import JOB_API_VERSION, JOB_KIND, JobReference, PodManifest


def retrying_job(manifest: PodManifest, retries: int, keep: float) -> dict[str, Any]:
    """Return the Job of a task, in wire form.

    Its pods have the key, the lock and the labels of the task. The cell runs again from its start if the cluster
    ends a pod, or if the runner's port is in use there. Any other exit code ends the Job.

    Args:
        manifest: The pod of the task; it brings its cell.
        retries: Number of pods that may be lost.
        keep: Seconds after which Kubernetes deletes the ended Job, with its pods and Secrets.
    """
    metadata = dict(manifest.pod["metadata"])
    of_pod = {name: metadata[name] for name in ("labels", "annotations") if name in metadata}
    annotations = metadata.pop("annotations", {})
    if PARTS_ANNOTATION in annotations:  # the Job owns the Secrets
        metadata["annotations"] = {PARTS_ANNOTATION: annotations[PARTS_ANNOTATION]}
    rules = [
        {
            "action": "Count",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        },
        {
            "action": "FailJob",
            "onExitCodes": {
                "containerName": manifest.primary,
                "operator": "NotIn",
                "values": [EXIT_PORT_TAKEN],
            },
        },
    ]
    return {
        "apiVersion": JOB_API_VERSION,
        "kind": JOB_KIND,
        "metadata": metadata,
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": retries,
            "podFailurePolicy": {"rules": rules},
            "ttlSecondsAfterFinished": int(keep),
            "template": {"metadata": of_pod, "spec": manifest.pod["spec"]},
        },
    }


def awaited_pod(job: dict[str, Any]) -> dict[str, Any]:
    """Return the pod that a Job has yet to create, as far as it is known, in wire form.

    It has the name and the UID of the Job. While a queue suspends the Job, it has the gate that a queued pod has. If
    the Job has ended, so has the pod.

    Args:
        job: The Job, as the API server has it.
    """
    metadata, template = job["metadata"], copy.deepcopy(job["spec"]["template"])
    own = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
    owner = JobReference(metadata["name"], metadata["uid"]).to_owner()
    spec = template["spec"]
    if job["spec"].get("suspend"):
        spec["schedulingGates"] = [*spec.get("schedulingGates", []), {"name": ADMISSION_GATE}]
    status = {"phase": "Pending"}
    ended = end_of(job)
    if ended is not None:
        phase = "Succeeded" if ended["type"] == "Complete" else "Failed"
        status = {
            "phase": phase,
            "reason": str(ended.get("reason", "")),
            "message": str(ended.get("message", "")),
        }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template.get("metadata", {}),
            **{field: metadata[field] for field in own if field in metadata},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": spec,
        "status": status,
    }


def end_of(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the condition that says that a Job has ended; None if it has not."""
    conditions = job.get("status", {}).get("conditions", [])
    return next(
        (each for each in conditions if each["type"] in ("Complete", "Failed") and each["status"] == "True"),
        None,
    )
