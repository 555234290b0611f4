"""A task's pod as it is read back: the version of its protocol."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.config.options import RunOptions
from podtask.errors import TaskError
from podtask.manifest.identity import Identity
from podtask.manifest.labels import PROTOCOL_ANNOTATION
from podtask.manifest.render import render
from podtask.manifest.task_pod import TaskPod
from podtask.runner.protocol import PROTOCOL_VERSION

RUNNING: dict[str, Any] = {"phase": "Running"}


def task_pod(protocol: str | None, status: dict[str, Any]) -> TaskPod:
    """Return the pod of a task with this annotation; None for a task of podtask 0.1.0."""
    pod = render(None, RunOptions()).stamped(Identity("podtask-a", "ab" * 32, "cd" * 32, 1)).pod
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
