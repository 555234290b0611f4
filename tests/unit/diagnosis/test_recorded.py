"""Pods and events that Kubernetes 1.35 wrote (recorded.json): category, field and limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.endings import diagnose_termination

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded.json").read_text())
FOUND = {
    # recorded state: category, part of the field to change, seconds until the task fails
    "no right to pull": ("pull denied", "imagePullSecrets", 5),
    "image not found": ("image not found", "containers[primary].image", 5),
    "pull secret missing": ("pull secret missing", "imagePullSecrets", 5),
    "config map of a volume": ("missing secret or config map", "volumes[].configMap", 6),
    "key of a volume": ("missing secret or config map", "volumes[].items[].key", 6),
    "secret in env": ("missing secret or config map", "containers[primary].env", 6),
    "host path": ("mount", "volumes[].hostPath", 6),
    "init container": ("init failing", "initContainers[fetch]", 0),
    "image name": ("invalid name", "containers[primary].image", 0),
    "native sidecar": ("sidecar failing", "initContainers", 6),
    "rate limit": ("rate limited", "imagePullSecrets", None),
    "registry fails": ("registry unreachable", "containers[primary].image", None),
    "pulling": ("", "", None),
    "claim": ("volume", "volumes[].persistentVolumeClaim.claimName", 6),
    "gated": ("gated", "schedulingGates", None),
    "memory": ("resources", "resources.requests", None),
    "extended resource": ("resources", "resources.limits", None),
    "selector": ("selector or affinity", "nodeSelector", None),
}
STOPPED = {
    # recorded state: category, part of the sentence
    "stopped: deleted": ("deleted", "by a user or a clean-up job"),
    "stopped: evicted": ("evicted", "drained"),
    "stopped: deadline": ("deadline", "activeDeadlineSeconds of 4"),
    "stopped: preempted": ("preempted", "pod with a higher priority"),
}


@pytest.mark.parametrize("name", FOUND)
def test_recorded_state_has_its_category(name: str) -> None:
    """Each state has its own category, and a limit if waiting cannot help."""
    category, field, limit = FOUND[name]
    found = diagnose(RECORDED[name]["pod"], "primary", RECORDED[name]["events"])
    assert (found.category, found.give_up_seconds) == (category, limit)
    assert field in found.field
    assert found.message
    assert not found.ended
    assert "\n" not in found.message + found.hint


@pytest.mark.parametrize("name", STOPPED)
def test_recorded_end_has_its_sentence(name: str) -> None:
    """Each external cause that ended a pod has its own sentence."""
    category, say = STOPPED[name]
    found = diagnose_termination(RECORDED[name]["pod"], "primary", [])
    assert found is not None
    assert found.category == category
    assert say in found.message
    assert found.hint


def test_every_recorded_state_is_in_the_table() -> None:
    """The table and the file name the same states."""
    assert {*FOUND, *STOPPED} == set(RECORDED)
