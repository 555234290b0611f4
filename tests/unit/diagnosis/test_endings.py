"""Ends that the state of the container does not explain: silent nodes, pods that a node rejects."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from podtask.diagnosis.containers import start_problems
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.endings import dead_sidecars
from podtask.runner import protocol

from tests.unit.diagnosis.test_diagnose import SPEC, container, placed

UP = container("primary", running={"startedAt": "now"})


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


SILENT = [condition("Ready", "False"), condition("ContainersReady", "True")]
GIVEN_UP = condition("DisruptionTarget", "True", "DeletionByTaintManager", "Taint manager: deleting")


@pytest.mark.feature("S02")
def test_silent_node_is_reported_while_the_cell_may_run() -> None:
    """A silent node is named while the container may still run, and the task continues."""
    found = diagnose(placed(UP, phase="Running", conditions=SILENT), "primary")
    assert (found.phase, found.ended, found.permanent) == ("Running", False, False)
    assert "its node node-1 has stopped reporting" in found.message
    assert "\n" not in found.message + found.hint


@pytest.mark.feature("S02")
def test_lost_node_ends_the_task() -> None:
    """When the cluster deletes the pod of a lost node, the task ends with its own sentence."""
    pod = placed(UP, phase="Running", conditions=[*SILENT, GIVEN_UP])
    found = diagnose(pod, "primary")
    assert (found.category, found.ended) == ("node lost", True)
    assert "its node was lost" in found.message


@pytest.mark.parametrize(
    "conditions",
    [
        [],
        [condition("Ready", "True"), condition("ContainersReady", "True")],
        [condition("Ready", "False", "ContainersNotReady"), condition("ContainersReady", "False")],
        [
            condition("Ready", "False", "ReadinessGatesNotReady"),
            condition("ContainersReady", "True"),
        ],
    ],
)
def test_pod_that_is_not_ready_by_itself_just_runs(conditions: list[Any]) -> None:
    """A sidecar's failing probe or a readiness gate does not count as a lost node."""
    found = diagnose(placed(UP, phase="Running", conditions=conditions), "primary")
    assert (found.phase, found.message, found.hint) == ("Running", "", "")


REJECTIONS = {
    # reason, message, part of the sentence, part of the hint
    "cpu": (
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 2000, used: 1, capacity: 2000",
        "no room for it",
        "--cpu",
    ),
    "pods": ("OutOfpods", "Node didn't have enough resource: pods", "no room for it", "again"),
    "affinity": ("NodeAffinity", "Predicate NodeAffinity failed", "does not have the labels", "nodeSelector"),
    "device": (
        "UnexpectedAdmissionError",
        "Allocate failed due to no healthy devices present",
        "could not allocate a device",
        "device plugin",
    ),
    "topology": (
        "TopologyAffinityError",
        "Resources cannot be allocated with Topology locality",
        "cannot align its CPUs",
        "Request fewer",
    ),
    "taint": ("TaintToleration", "Predicate TaintToleration failed", "taint", "spec.tolerations"),
    "apparmor": (
        "AppArmor",
        "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        "cannot enforce the AppArmor profile",
        "remove appArmorProfile from spec.securityContext",
    ),
    "sysctl": (
        "SysctlForbidden",
        'forbidden sysctl: "kernel.msgmax" not allowlisted',
        "does not allow the sysctl",
        "spec.securityContext.sysctls",
    ),
    "unknown": (
        "FeatureOfTomorrow",
        "tomorrow is not supported",
        "its node rejected it",
        "Change what the message names",
    ),
    "groups": (
        "SupplementalGroupsPolicyNotSupported",
        "SupplementalGroupsPolicy=Strict is not supported in this node",
        "policy for supplemental groups",
        "spec.securityContext.supplementalGroupsPolicy",
    ),
}


@pytest.mark.pod("P15")
@pytest.mark.feature("N04", "S03")
@pytest.mark.parametrize(("reason", "message", "say", "do"), REJECTIONS.values(), ids=REJECTIONS)
def test_pod_that_its_kubelet_refuses(reason: str, message: str, say: str, do: str) -> None:
    """If the kubelet rejects a scheduled pod, the reason and a hint are shown."""
    status = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: {message}"}
    found = diagnose({"spec": SPEC, "status": status}, "primary")
    assert (found.category, found.phase, found.ended) == ("rejected by its node", reason, True)
    assert say in found.message
    assert message in found.message
    assert do in found.hint


@pytest.mark.fault(114)
def test_end_of_a_batch_task_quotes_its_output_only() -> None:
    """The end of a log that Kubernetes keeps as a message is quoted without the runner's own lines."""
    frame = base64.b64encode(protocol.encode(protocol.STREAM, {"name": "stderr"}, b"disk full\n", 1)).decode()
    message = "\n".join(
        [f"{protocol.FRAME_LINE_PREFIX} 1 0/1 {'0' * 32} {frame}", f"{protocol.RECORD_LINE_PREFIX} 1 abc"]
    )
    ended = container("primary", terminated={"exitCode": 1, "reason": "Error", "message": message})
    found = diagnose(placed(ended, phase="Failed"), "primary")
    assert found.message == "container 'primary' ended with exit code 1: disk full"


RECORD = f"{protocol.RECORD_LINE_PREFIX} 1/2 0123abcd {'eJxLy0wF' * 300}"


@pytest.mark.pod("P16")
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (RECORD[-2048:], "ended with exit code 96"),  # the kubelet keeps the last 2048 bytes of a log
        (f"{RECORD[200:]}\nKilled by the entrypoint", "ended with exit code 96: Killed by the entrypoint"),
        (f"podtask-frame 7 0/1 {'0' * 32} {'eJxLy0wF' * 200}"[5:], "ended with exit code 96"),
    ],
)
def test_end_of_a_container_has_no_encoded_data(message: str, shown: str) -> None:
    """The part of a log that the kubelet keeps as the message may begin within a line of the runner."""
    ended = container("primary", terminated={"exitCode": 96, "reason": "Error", "message": message})
    found = diagnose(placed(ended, phase="Failed"), "primary")
    assert found.message == f"container 'primary' {shown}"


@pytest.mark.pod("P14", "P16")
@pytest.mark.parametrize(
    ("code", "reason", "status"), [(0, "Completed", "ok"), (1, "Error", "error"), (96, "Error", "timeout")]
)
def test_end_of_a_cell_is_shown_in_words(code: int, reason: str, status: str) -> None:
    """The summary of the runner is shown in words, with the reason and exit code of the container."""
    message = f'{{"status": "{status}"}}\n'
    ended = container("primary", terminated={"exitCode": code, "reason": reason, "message": message})
    found = diagnose(placed(ended), "primary")
    assert found.phase == reason
    assert found.message == f"container 'primary' ended with exit code {code}: the cell has ended ({status})"


@pytest.mark.parametrize(
    ("reason", "limits", "detail"),
    [
        ("OOMKilled", {"memory": "32Mi"}, ", OOMKilled at the limit of 32Mi"),
        ("OOMKilled", {}, ", OOMKilled at the limit"),
        ("Error", {"memory": "32Mi"}, ", killed, perhaps for its memory limit of 32Mi"),
        ("Error", {}, ""),
    ],
)
def test_killed_sidecar_is_named_with_its_limit(reason: str, limits: dict[str, str], detail: str) -> None:
    """A sidecar that was killed is named with its memory limit, also if the kubelet missed the reason."""
    side = {"name": "side", "resources": {"limits": limits}}
    state = {"terminated": {"exitCode": 137, "reason": reason}}
    pod = {
        "spec": {"containers": [{"name": "primary"}, side]},
        "status": {"containerStatuses": [{"name": "side", "state": state}]},
    }
    assert dead_sidecars(pod, "primary") == {"side": f"sidecar 'side' ended with exit code 137{detail}"}


@pytest.mark.fault(90)
@pytest.mark.parametrize("field", ["containerStatuses", "initContainerStatuses"])
@pytest.mark.parametrize(
    "state",
    [{"terminated": {"exitCode": 1}}, {"waiting": {"reason": "InvalidImageName", "message": "forged"}}],
    ids=["ended", "waits"],
)
def test_container_that_the_pod_does_not_have_is_not_reported(field: str, state: dict[str, Any]) -> None:
    """Whoever may change the status of pods adds any number of names; podtask reports and reads none of them."""
    forged = [{"name": f"forged-{number}", "state": state} for number in range(3)]
    pod = placed(UP, phase="Running", conditions=[])
    pod["status"].setdefault(field, []).extend(forged)
    assert dead_sidecars(pod, "primary") == {}
    assert list(start_problems(pod, "primary", [])) == []
