"""A task's pod as it is read back: the version of its protocol."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.config.options import RunOptions
from podtask.errors import InputError, TaskError
from podtask.manifest.identity import Identity
from podtask.manifest.labels import (
    BOUNDS_ANNOTATION,
    CELL_ANNOTATION,
    KERNEL_LABEL,
    PROTOCOL_ANNOTATION,
)
from podtask.manifest.pod_manifest import DEFAULT_GRACE_SECONDS
from podtask.manifest.render import render
from podtask.manifest.task_pod import TaskPod
from podtask.runner.protocol import PROTOCOL_VERSION

RUNNING: dict[str, Any] = {"phase": "Running"}


def task_pod(protocol: str | None, status: dict[str, Any]) -> TaskPod:
    """Return the pod of a task with this annotation; None for a task of podtask 0.1.0."""
    pod = render(None, RunOptions()).stamped(Identity("podtask-a", "ab" * 32, "cd" * 32, 1, kernel="k")).pod
    annotations = pod["metadata"]["annotations"]
    assert annotations.pop(PROTOCOL_ANNOTATION) == str(PROTOCOL_VERSION)
    if protocol is not None:
        annotations[PROTOCOL_ANNOTATION] = protocol
    return TaskPod({**pod, "status": status})


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (None, r"podtask-a was started by an older version of podtask \(protocol 1, here 2\)"),
        ("9", r"podtask-a was started by another version of podtask \(protocol 9, here 2\)"),
    ],
)
def test_runner_of_another_version_is_named_before_it_is_contacted(
    protocol: str | None, expected: str
) -> None:
    """The error says which version, that the task keeps running, and how to see its output."""
    with pytest.raises(TaskError, match=expected) as caught:
        task_pod(protocol, RUNNING).check_protocol()
    assert "%podtask logs podtask-a" in caught.value.hint


@pytest.mark.parametrize(
    ("protocol", "status"),
    [(str(PROTOCOL_VERSION), RUNNING), (None, {"phase": "Succeeded"}), ("9", {"phase": "Failed"})],
)
def test_runner_of_this_version_and_finished_pods_are_accepted(
    protocol: str | None, status: dict[str, Any]
) -> None:
    """The log of a finished pod is the same in all versions."""
    task_pod(protocol, status).check_protocol()


@pytest.mark.parametrize(
    "bounds",
    ["end=inf", "end=nan", "end=1e30", "results=1", "keep=-1", "timeout=1e400", "local=1", "a=b=c", "["],
)
def test_bounds_that_another_person_wrote_are_ignored(bounds: str) -> None:
    """Limits that are not limits count as missing: commands and lists work with the pod."""
    pod = task_pod(str(PROTOCOL_VERSION), RUNNING)
    pod.pod["metadata"]["annotations"][BOUNDS_ANNOTATION] = bounds
    assert pod.bounds == {}
    assert pod.grace_seconds == DEFAULT_GRACE_SECONDS
    assert pod.options == RunOptions()


@pytest.mark.parametrize("message", ["[" * 4096, '{"status":' * 400, "[1]", '{"status": null}', "\ud800"])
def test_termination_message_of_anybody_does_not_break_a_list(message: str) -> None:
    """The message of a pod is what its container writes."""
    terminated = {"exitCode": 0, "message": message}
    status = {
        "phase": "Succeeded",
        "containerStatuses": [{"name": "primary", "state": {"terminated": terminated}}],
    }
    pod = task_pod(str(PROTOCOL_VERSION), status)
    assert isinstance(pod.state, str)
    assert pod.is_finished


def finished(exit_code: int, message: str, batch: bool) -> TaskPod:
    """Return the pod of a task whose runner has ended."""
    terminated = {"exitCode": exit_code, "reason": "Completed", "message": message}
    pod = task_pod(
        str(PROTOCOL_VERSION),
        {
            "phase": "Succeeded",
            "containerStatuses": [{"name": "primary", "state": {"terminated": terminated}}],
        },
    )
    if batch:
        pod.pod["metadata"]["annotations"][CELL_ANNOTATION] = "Y2VsbA=="
    return pod


@pytest.mark.pod("P14")
@pytest.mark.parametrize(
    ("exit_code", "batch", "state"),
    [
        (0, True, "ok, in its log"),
        (1, True, "ok, in its log"),
        (96, True, "ok, in its log"),  # podtask 0.1.0
        (96, False, "ok, in its log"),
        (0, False, "ok, fetched"),
        (1, False, "ok, fetched"),
    ],
)
def test_result_of_a_batch_task_is_in_its_log(exit_code: int, batch: bool, state: str) -> None:
    """A runner in batch mode exits as its cell has ended, and its result is in the log nevertheless."""
    pod = finished(exit_code, '{"status": "ok"}', batch)
    assert pod.state == state
    assert pod.is_result_in_log != pod.is_result_fetched


@pytest.mark.parametrize("port", ["0", "-1", "65536", "x"])
def test_port_that_another_person_wrote_is_refused(port: str) -> None:
    """A pod that was not made by podtask does not run a task."""
    pod = task_pod(str(PROTOCOL_VERSION), RUNNING)
    next(each for each in pod.primary_container["env"] if each["name"] == "PODTASK_PORT")["value"] = port
    with pytest.raises(InputError, match="does not run a podtask task"):
        assert pod.key


def test_pod_without_the_label_of_its_kernel_is_refused() -> None:
    """Whoever may change the pod may remove the label."""
    pod = task_pod(str(PROTOCOL_VERSION), RUNNING)
    del pod.pod["metadata"]["labels"][KERNEL_LABEL]
    with pytest.raises(InputError, match="does not run a podtask task"):
        assert pod.key


def test_repr_does_not_have_the_key() -> None:
    """A traceback with the values of variables does not show the key."""
    pod = task_pod(str(PROTOCOL_VERSION), RUNNING)
    assert pod.key not in repr(pod)
