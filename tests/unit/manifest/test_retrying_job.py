"""The Job of a detached task with retries, and the pod that it has yet to create."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.labels import KERNEL_LABEL, MANAGED_BY, NAME_LABEL, TASK_LABEL, USER_LABEL
from podtask.manifest.render import render
from podtask.manifest.retrying_job import awaited_pod, retrying_job
from podtask.manifest.task_pod import TaskPod, current_pods

NAME = "podtask-0123456789"
IDENTITY = Identity(NAME, "ab" * 32, "cd" * 32, 20_000, kernel="k", user="alice", alias="night")
RUNNING: dict[str, Any] = {"phase": "Running"}
EVICTED: dict[str, Any] = {
    "conditions": [{"type": "DisruptionTarget", "status": "True"}],
    "phase": "Failed",
}
FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too many"}


def sent_job(**options: Any) -> dict[str, Any]:
    """Return the Job of a task, as it is sent."""
    manifest = render(None, RunOptions.of(detach=True, retries=2, **options)).stamped(IDENTITY)
    return retrying_job(manifest, 2, 600.5)


def stored_job(*conditions: dict[str, str], **spec: Any) -> dict[str, Any]:
    """Return the Job of a task, as the API server has it."""
    job = sent_job(queue="team")
    job["metadata"] |= {"uid": "j", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    job["spec"] |= spec
    return {**job, "status": {"conditions": list(conditions)}}


def pod_of_job(name: str, second: int, status: dict[str, Any], owner: str = NAME) -> TaskPod:
    """Return a pod that a Job has created, as the API server has it."""
    template = sent_job()["spec"]["template"]
    metadata = {
        **template["metadata"],
        "name": name,
        "uid": f"uid-of-{name}",
        "creationTimestamp": f"2026-01-01T00:00:{second:02}Z",
        "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": "j", "controller": True}
        ],
    }
    return TaskPod({**template, "metadata": metadata, "status": status})


@pytest.mark.feature("S09")
def test_job_retries_lost_pods_and_no_others() -> None:
    """The Job counts pods that the cluster ends and ports that are taken; any other exit code ends it."""
    job = sent_job()
    spec = job["spec"]
    template = spec.pop("template")
    assert job["metadata"]["name"] == NAME
    assert job["metadata"]["labels"].keys() == {MANAGED_BY, TASK_LABEL, KERNEL_LABEL, USER_LABEL, NAME_LABEL}
    assert template["metadata"]["labels"] == job["metadata"]["labels"]
    assert template["metadata"].keys() == {"labels", "annotations"}
    assert template["spec"]["restartPolicy"] == "Never"
    assert spec == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 2,
        "ttlSecondsAfterFinished": 600,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Count",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "primary", "operator": "NotIn", "values": [98]},
                },
            ]
        },
    }


@pytest.mark.feature("S09")
@pytest.mark.parametrize(
    ("job", "state", "is_queued"),
    [
        (stored_job(), "Pending", False),
        (stored_job(suspend=True), "Queued", True),
        (stored_job(FAILED), "BackoffLimitExceeded", False),
    ],
)
def test_job_without_a_pod_stands_for_the_next_one(job: dict[str, Any], state: str, is_queued: bool) -> None:
    """A Job without a pod is shown as the pod that it will create: in its queue, waiting, or ended with the Job."""
    (pod,) = current_pods([], [job])
    assert (pod.name, pod.task, pod.alias, pod.uid) == (NAME, NAME, "night", "j")
    assert (pod.state, pod.is_queued, pod.queue) == (state, is_queued, "team")
    assert pod.key == "ab" * 32


@pytest.mark.feature("S09")
def test_task_has_one_pod() -> None:
    """Of the pods of a Job the newest one counts; while the Job replaces it, the Job stands for the next one."""
    old, new = pod_of_job(f"{NAME}-a", 1, EVICTED), pod_of_job(f"{NAME}-b", 2, RUNNING)
    assert [pod.name for pod in current_pods([new, old], [stored_job()])] == [f"{NAME}-b"]
    assert [pod.task for pod in current_pods([new, old])] == [NAME]
    assert old.is_replaced
    assert not new.is_replaced
    assert [pod.name for pod in current_pods([old], [stored_job()])] == [NAME]
    assert [pod.name for pod in current_pods([old], [stored_job(FAILED)])] == [f"{NAME}-a"]


def test_pod_names_no_foreign_job() -> None:
    """Whoever creates a pod chooses its owner: only a Job with the name of the task counts."""
    for owner in ("database", "podtask-9876543210"):
        pod = pod_of_job(f"{NAME}-a", 1, RUNNING, owner)
        assert pod.job is None
        assert pod.task == f"{NAME}-a"


def test_secrets_stay_for_the_next_pod() -> None:
    """The Secrets that a pod of a Job has read are not deleted before the Job."""
    pod = pod_of_job(f"{NAME}-a", 1, RUNNING)
    assert pod.part_names == []
    assert TaskPod(awaited_pod(stored_job())).part_names == []
