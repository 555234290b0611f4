"""Containers that the kubelet kills: the probe or hook that failed, from the events of Kubernetes 1.35."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.endings import diagnose_termination, killable_sidecars
from podtask.diagnosis.kubelet_kills import failed_stop_hooks, find_kill

from tests.unit.diagnosis.test_diagnose import SPEC, container, placed, terminated

HTTP = "Liveness probe failed: HTTP probe failed with statuscode: 500"
SLOW = (
    'Startup probe failed: Get "http://10.88.0.7:8080/": context deadline exceeded (Client.Timeout exceeded)'
)


def event(reason: str, message: str, name: str = "primary", kind: str = "containers") -> dict[str, Any]:
    """Return an event about a container."""
    return {"reason": reason, "message": message, "involvedObject": {"fieldPath": f"spec.{kind}{{{name}}}"}}


KILLS = {
    # events, sentence, field
    "liveness": (
        [event("Unhealthy", HTTP), event("Killing", "Container primary failed liveness probe")],
        "its liveness probe failed: HTTP probe failed with statuscode: 500",
        "spec.containers[primary].livenessProbe",
    ),
    "liveness, restarted": (
        [
            event("Unhealthy", HTTP),
            event("Killing", "Container primary failed liveness probe, will be restarted"),
        ],
        "its liveness probe failed: HTTP probe failed with statuscode: 500",
        "spec.containers[primary].livenessProbe",
    ),
    "startup": (
        [event("Unhealthy", SLOW), event("Killing", "Container primary failed startup probe")],
        f"its startup probe failed: {SLOW.partition(': ')[2]}",
        "spec.containers[primary].startupProbe",
    ),
    "exec, of several lines": (
        [
            event("Unhealthy", "Liveness probe failed: cat: can't open '/tmp/healthy':\nNo such file\n"),
            event("Killing", "Container primary failed liveness probe"),
        ],
        "its liveness probe failed: cat: can't open '/tmp/healthy': No such file",
        "spec.containers[primary].livenessProbe",
    ),
    "readiness fails, too": (
        [
            event("Unhealthy", HTTP),
            event("Unhealthy", "Readiness probe failed: dial tcp 10.0.0.1:80: connect: connection refused"),
            event("Killing", "Container primary failed liveness probe"),
        ],
        "its liveness probe failed: HTTP probe failed with statuscode: 500",
        "spec.containers[primary].livenessProbe",
    ),
    "without the probe's event": (
        [event("Killing", "Container primary failed liveness probe")],
        "its liveness probe failed",
        "spec.containers[primary].livenessProbe",
    ),
    "hook": (
        [
            event("FailedPostStartHook", "PostStartHook failed"),
            event("Killing", "FailedPostStartHook"),
        ],
        "its postStart hook failed",
        "spec.containers[primary].lifecycle.postStart",
    ),
    "hook, with its message": (
        [event("FailedPostStartHook", "PostStartHook failed: command 'x' exited with 126: no such file")],
        "its postStart hook failed: command 'x' exited with 126: no such file",
        "spec.containers[primary].lifecycle.postStart",
    ),
}


@pytest.mark.pod("P3")
@pytest.mark.parametrize(("events", "sentence", "field"), KILLS.values(), ids=KILLS)
def test_killed_primary_names_probe_or_hook(events: list[dict[str, Any]], sentence: str, field: str) -> None:
    """The end of the cell's container names what failed, its message and the field to change."""
    pod = placed(terminated("Error", 137), phase="Failed")
    found = diagnose(pod, "primary", events)
    assert (found.category, found.ended, found.lost) == ("probe or hook failed", True, False)
    assert found.message == f"the kubelet killed container 'primary': {sentence}"
    assert f"Change {field} in the template" in found.hint
    assert ("--keep-probes" in found.hint) == ("Probe" in field)
    stopped = diagnose_termination(pod, "primary", events)
    assert stopped is not None
    assert stopped.message == found.message


@pytest.mark.pod("P3")
@pytest.mark.parametrize(
    "events",
    [
        [],
        [event("Killing", "Stopping container primary")],
        [event("Unhealthy", HTTP)],
        [event("Unhealthy", HTTP, "side"), event("Killing", "Container side failed liveness probe", "side")],
        [event("FailedPreStopHook", "PreStopHook failed")],
        [{"reason": "Killing", "message": "Container primary failed liveness probe"}],
    ],
)
def test_other_events_are_no_kill(events: list[dict[str, Any]]) -> None:
    """A deletion, a probe that did not end the container and another container's probe explain nothing."""
    assert find_kill(events, "primary") is None
    found = diagnose(placed(terminated("Error", 137), phase="Failed"), "primary", events)
    assert found.message == "container 'primary' ended with exit code 137"


@pytest.mark.pod("P3")
def test_failed_stop_hooks_are_told_once_for_each_container() -> None:
    """A preStop hook that fails does not kill; it is told with its container and its field, and with its message if there is one."""
    old = 'Exec lifecycle hook ([sh]) for Container "side" failed - error: command exited with 3'
    events = [
        event("FailedPreStopHook", "PreStopHook failed"),
        event("FailedPreStopHook", "PreStopHook failed"),
        event("FailedPreStopHook", old, "side", "initContainers"),
        event("FailedPostStartHook", "PostStartHook failed"),
        {"reason": "FailedPreStopHook", "message": "PreStopHook failed"},
    ]
    assert [(hook.sentence, hook.field) for hook in failed_stop_hooks(events)] == [
        ("the preStop hook of container 'primary' failed", "spec.containers[primary].lifecycle.preStop"),
        (
            f"the preStop hook of container 'side' failed: {old}",
            "spec.initContainers[side].lifecycle.preStop",
        ),
    ]


def at(second: int, reason: str, message: str) -> dict[str, Any]:
    return {**event(reason, message), "lastTimestamp": f"2026-01-01T10:00:{second:02}Z"}


STOPPING = "Stopping container primary"


@pytest.mark.pod("P3")
@pytest.mark.parametrize(("probe", "field"), [("Liveness", "livenessProbe"), ("Startup", "startupProbe")])
def test_probe_of_the_only_container_is_named(probe: str, field: str) -> None:
    """If no other container runs, the event of the kill does not name the probe that failed just before."""
    events = [at(7, "Unhealthy", f"{probe} probe failed: not healthy\n"), at(7, "Killing", STOPPING)]
    pod = placed(terminated("Error", 143), phase="Failed")
    found = diagnose(pod, "primary", events)
    assert found.message == (
        f"the kubelet killed container 'primary': its {probe.lower()} probe failed: not healthy"
    )
    assert found.field == f"containers[primary].{field}"


@pytest.mark.pod("P3")
@pytest.mark.parametrize(
    ("events", "status", "metadata", "category"),
    [
        (  # the failed probe was not the last one that the threshold allows
            [at(1, "Unhealthy", HTTP), at(40, "Killing", STOPPING)],
            {},
            {},
            "ended",
        ),
        (
            [at(7, "Unhealthy", HTTP), at(7, "Killing", STOPPING)],
            {},
            {"deletionTimestamp": "2026-01-01T10:00:07Z"},
            "deleted",
        ),
        (
            [at(7, "Unhealthy", HTTP), at(7, "Killing", STOPPING)],
            {"reason": "Evicted", "message": "low on memory"},
            {},
            "evicted",
        ),
        ([event("Unhealthy", HTTP), event("Killing", STOPPING)], {}, {}, "ended"),  # without times
    ],
)
def test_stop_for_another_reason_is_not_blamed_on_a_probe(
    events: list[Any], status: dict[str, str], metadata: dict[str, str], category: str
) -> None:
    """A deletion, an eviction and a probe that failed earlier are told apart."""
    pod = {**placed(terminated("Error", 143), phase="Failed", **status), "metadata": metadata}
    assert diagnose(pod, "primary", events).category == category


@pytest.mark.pod("P3")
def test_out_of_memory_counts_more_than_a_probe() -> None:
    """A cell that was killed for its memory may have failed its probe before."""
    events = KILLS["liveness"][0]
    found = diagnose(placed(terminated("OOMKilled", 137), phase="Failed"), "primary", events)
    assert found.category == "out of memory"


@pytest.mark.pod("P3", "P8")
def test_native_sidecar_whose_startup_probe_fails_is_named_with_it() -> None:
    """A sidecar that the kubelet kills again and again is named with its probe and the probe's message."""
    native = {**container("proxy", waiting={"reason": "CrashLoopBackOff"}), "restartCount": 2}
    native["lastState"] = {"terminated": {"exitCode": 137}}
    spec = {**SPEC, "initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    events = [
        event("Unhealthy", "Startup probe failed: not yet", "proxy", "initContainers"),
        event("Killing", "Container proxy failed startup probe", "proxy", "initContainers"),
    ]
    found = diagnose({"spec": spec, "status": {"initContainerStatuses": [native]}}, "primary", events)
    assert "the kubelet kills it: its startup probe failed: not yet" in found.message
    assert found.hint == "Change spec.initContainers[proxy].startupProbe."


@pytest.mark.pod("P8")
@pytest.mark.parametrize(
    "status",
    [
        {
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 4}},
        },
        {"state": {"terminated": {"exitCode": 4}}, "lastState": {}},  # of Kubernetes 1.32
    ],
    ids=["waiting", "terminated"],
)
def test_native_sidecar_that_ends_again_and_again_is_named(status: dict[str, Any]) -> None:
    """A sidecar that waits for its restart is named with its exit code."""
    native = {**container("proxy"), "restartCount": 2, **status}
    spec = {**SPEC, "initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    found = diagnose({"spec": spec, "status": {"initContainerStatuses": [native]}}, "primary", [])
    assert found.message == "sidecar 'proxy' keeps exiting with code 4"


PROBE = {"exec": {"command": ["true"]}}


@pytest.mark.pod("P3")
@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ({"livenessProbe": PROBE}, {"state": {"terminated": {"exitCode": 0}}}, ["side"]),
        ({"lifecycle": {"postStart": PROBE}}, {"state": {"terminated": {"exitCode": 143}}}, ["side"]),
        ({"startupProbe": PROBE}, {"state": {"running": {}}, "restartCount": 1}, ["side"]),
        ({"livenessProbe": PROBE}, {"state": {"running": {}}, "restartCount": 0}, []),
        ({"readinessProbe": PROBE}, {"state": {"terminated": {"exitCode": 0}}}, []),
        ({}, {"state": {"terminated": {"exitCode": 0}}}, []),
    ],
)
def test_sidecar_that_the_kubelet_may_have_killed(
    fields: dict[str, Any], status: dict[str, Any], expected: list[str]
) -> None:
    """A killed sidecar may exit with 0 or run again: the events of one with a probe or hook are read."""
    pod = {
        "spec": {"containers": [{"name": "primary"}, {"name": "side", **fields}]},
        "status": {"containerStatuses": [{"name": "side", **status}]},
    }
    assert killable_sidecars(pod, "primary") == expected
