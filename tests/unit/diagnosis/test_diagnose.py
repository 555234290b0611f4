"""The state of a pod: statuses as Kubernetes writes them, and the sentences that explain them."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.diagnosis.diagnose import diagnose
from podtask.diagnosis.model import Diagnosis, long_messages, one_line

IMAGE = "registry.example/team/app:7"
NOT_FOUND = (
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'
)
RATE_LIMIT = (
    'failed to pull and unpack image "docker.io/library/python:3.12-slim": failed to copy: '
    "httpReadSeeker: failed open: unexpected status code "
    "https://registry-1.docker.io/v2/library/python/manifests/sha256:ab: "
    "429 Too Many Requests - Server message: toomanyrequests: You have reached your "
    "unauthenticated pull rate limit."
)
BACK_OFF = f'Back-off pulling image "{IMAGE}": ErrImagePull: '
NO_PYTHON = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
    'runc create failed: unable to start container process: exec: "python3": '
    "executable file not found in $PATH: unknown"
)
SPEC: dict[str, Any] = {
    "nodeName": "node-1",
    "containers": [
        {"name": "primary", "image": IMAGE, "resources": {"limits": {"memory": "512Mi"}}},
        {"name": "side", "image": "busybox"},
    ],
}
UNPLACED = {name: value for name, value in SPEC.items() if name != "nodeName"}


def container(name: str, **state: Any) -> dict[str, Any]:
    """Return the status of a container; the fields of its state are as in the API."""
    return {"name": name, "image": IMAGE, "ready": "running" in state, "restartCount": 0, "state": state}


def placed(*containers: dict[str, Any], phase: str = "Pending", **more: Any) -> dict[str, Any]:
    """Return a pod on a node that has these containers, among others."""
    own = [{"name": each["name"]} for each in containers if each["name"] not in ("primary", "side")]
    prepare = [{"name": each["name"]} for each in more.get("initContainerStatuses", [])]
    spec = {**SPEC, "containers": [*SPEC["containers"], *own], "initContainers": prepare}
    return {"spec": spec, "status": {"phase": phase, "containerStatuses": [*containers], **more}}


def waiting(reason: str, message: str = "", name: str = "primary") -> dict[str, Any]:
    """Return a pod with a container that waits for a reason."""
    return placed(container(name, waiting={"reason": reason, "message": message}))


def terminated(reason: str, code: int, **more: Any) -> dict[str, Any]:
    """Return the status of a primary container that has ended."""
    times = {"startedAt": "2025-01-01T10:00:00Z", "finishedAt": "2025-01-01T10:01:00Z"}
    return container("primary", terminated={"reason": reason, "exitCode": code, **times, **more})


def unplaced(reason: str, message: str, **spec: Any) -> dict[str, Any]:
    """Return a pod that the scheduler has not placed."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return {"spec": {**UNPLACED, **spec}, "status": {"phase": "Pending", "conditions": [condition]}}


CREATING = container("primary", waiting={"reason": "ContainerCreating"})
CURABLE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # pod, phase, part of the sentence, part of the hint
    "new": ({"spec": UNPLACED, "status": {}}, "Pending", "", ""),
    "unschedulable": (
        unplaced("Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        "Unschedulable",
        "too little free nvidia.com/gpu (3 of 3 nodes)",
        "less nvidia.com/gpu (--gpu), or wait until some is free: spec.containers[].resources.limits",
    ),
    "gated": (
        unplaced(
            "SchedulingGated",
            "Scheduling is blocked due to non-empty scheduling gates",
            schedulingGates=[{"name": "team/later"}, {"name": "team/quota"}],
        ),
        "Gated",
        "team/later, team/quota",
        "",
    ),
    "on its node": ({"spec": SPEC, "status": {"phase": "Pending"}}, "Starting", "node-1", ""),
    "creating": (placed(CREATING), "Starting", "node-1", ""),
    "initializing": (
        placed(
            container("primary", waiting={"reason": "PodInitializing"}),
            initContainerStatuses=[container("prepare", running={"startedAt": "now"})],
        ),
        "Starting",
        "node-1",
        "",
    ),
    "rate limit": (
        waiting("ErrImagePull", RATE_LIMIT),
        "Rate limited",
        "limits the rate of pulls (429)",
        "imagePullSecrets",
    ),
    "rate limit, backing off": (
        waiting("ImagePullBackOff", BACK_OFF + RATE_LIMIT),
        "Rate limited",
        "limits the rate of pulls (429)",
        "imagePullSecrets",
    ),
    "registry away, backing off": (
        waiting("ImagePullBackOff", BACK_OFF + "dial tcp 10.0.0.1:443: i/o timeout"),
        "ImagePullBackOff",
        "the registry cannot be reached (timeout)",
        "",
    ),
    "running": (
        placed(container("primary", running={"startedAt": "now"}), phase="Running"),
        "Running",
        "",
        "",
    ),
    "running, sidecar ended": (
        placed(
            container("side", terminated={"exitCode": 1, "reason": "Error"}),
            container("primary", running={"startedAt": "now"}),
            phase="Running",
        ),
        "Running",
        "",
        "",
    ),
}
HOPELESS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # A tag may be a number: this 429 is not a status.
    "pull failed once": (waiting("ErrImagePull", NOT_FOUND + "/429"), "ErrImagePull", "not found", "tag"),
    "missing secret": (
        waiting("CreateContainerConfigError", 'secret "db-password" not found'),
        "Missing secret",
        "secret 'db-password' does not exist (container 'primary' needs it)",
        "spec.containers[primary].env or .envFrom",
    ),
    "image not found": (
        waiting("ImagePullBackOff", BACK_OFF + NOT_FOUND),
        "ImagePullBackOff",
        f"image {IMAGE}: not found in its registry",
        "name, tag",
    ),
    "sidecar's image not found": (
        waiting("ImagePullBackOff", BACK_OFF + NOT_FOUND, "side"),
        "ImagePullBackOff",
        f"image {IMAGE} of sidecar 'side': not found in its registry",
        "name, tag",
    ),
    "image name": (
        waiting(
            "InvalidImageName",
            'Failed to apply default image tag "team//app::7": couldn\'t parse image name '
            '"team//app::7": invalid reference format',
        ),
        "InvalidImageName",
        "invalid reference format",
        "image",
    ),
    "never pulled": (
        waiting("ErrImageNeverPull", f'Container image "{IMAGE}" is not present with pull policy of Never'),
        "ErrImageNeverPull",
        "pull policy of Never",
        "image",
    ),
    "no python": (
        placed(terminated("StartError", 128, message=NO_PYTHON), phase="Failed"),
        "StartError",
        "image of container 'primary' has no python3",
        "--image",
    ),
    "no python, at creation": (
        waiting("CreateContainerError", NO_PYTHON),
        "CreateContainerError",
        "has no python3",
        "--image",
    ),
    "mount over a file": (
        placed(
            terminated(
                "StartError", 128, message='error mounting "/a" to rootfs at "/etc/passwd": not a directory'
            ),
            phase="Failed",
        ),
        "StartError",
        "cannot start: error mounting",
        "mounts",
    ),
    "init image name": (
        placed(
            container("primary", waiting={"reason": "PodInitializing"}),
            initContainerStatuses=[
                container("prepare", waiting={"reason": "InvalidImageName", "message": "bad"})
            ],
        ),
        "InvalidImageName",
        "container 'prepare'",
        "image",
    ),
}
LOW = "The node was low on resource: memory. Container primary was using 3Gi, request is 1Gi."
LATE = "Pod was active on the node longer than the specified deadline"
ENDED: dict[str, tuple[dict[str, Any], str, str, str, int | None]] = {
    # pod, phase, part of the sentence, part of the hint, exit code
    "deleted": (
        {"metadata": {"deletionTimestamp": "now"}, **placed(terminated("Error", 143), phase="Failed")},
        "Deleted",
        "was deleted",
        "again",
        143,
    ),
    "out of memory": (
        placed(terminated("OOMKilled", 137), phase="Failed"),
        "OOMKilled",
        "memory than the limit of 512Mi of container 'primary'",
        "--memory",
        137,
    ),
    "evicted": (
        {"spec": SPEC, "status": {"phase": "Failed", "reason": "Evicted", "message": LOW}},
        "Evicted",
        f"its node evicted it: {LOW[:-1]}",
        "--memory",
        None,
    ),
    "evicted, killed": (
        placed(terminated("Error", 137), phase="Failed", reason="Evicted", message=LOW),
        "Evicted",
        f"its node evicted it: {LOW[:-1]}",
        "--memory",
        137,
    ),
    "deadline": (
        {"spec": SPEC, "status": {"phase": "Failed", "reason": "DeadlineExceeded", "message": LATE}},
        "DeadlineExceeded",
        "activeDeadlineSeconds",
        "--timeout",
        None,
    ),
    "error": (
        placed(terminated("Error", 3, message="Traceback\n  in line 2\n"), phase="Failed"),
        "Error",
        "container 'primary' ended with exit code 3: Traceback in line 2",
        "again",
        3,
    ),
    "completed, sidecar still runs": (
        placed(container("side", running={}), terminated("Completed", 0), phase="Running"),
        "Completed",
        "ended with exit code 0",
        "again",
        0,
    ),
    "succeeded": ({"spec": SPEC, "status": {"phase": "Succeeded"}}, "Succeeded", "ended", "", None),
    "failed, no reason": ({"spec": SPEC, "status": {"phase": "Failed"}}, "Failed", "ended", "", None),
}


def check(found: Diagnosis, phase: str, say: str, do: str) -> None:
    assert found.phase == phase
    assert say in found.message
    assert do in found.hint
    assert "\n" not in found.message + found.hint


@pytest.mark.parametrize(("pod", "phase", "say", "do"), CURABLE.values(), ids=CURABLE)
def test_state_that_waiting_may_resolve(pod: dict[str, Any], phase: str, say: str, do: str) -> None:
    """A pod that may still start is described, and counts neither as permanent nor as ended."""
    found = diagnose(pod, "primary")
    check(found, phase, say, do)
    assert (found.permanent, found.ended, found.exit_code) == (False, False, None)
    assert bool(found.message) == bool(say)


@pytest.mark.parametrize(("pod", "phase", "say", "do"), HOPELESS.values(), ids=HOPELESS)
def test_state_that_waiting_cannot_resolve(pod: dict[str, Any], phase: str, say: str, do: str) -> None:
    """A pod that can never start is described with its container and what to change."""
    found = diagnose(pod, "primary")
    check(found, phase, say, do)
    assert found.permanent


@pytest.mark.parametrize(("pod", "phase", "say", "do", "code"), ENDED.values(), ids=ENDED)
def test_state_of_an_end(pod: dict[str, Any], phase: str, say: str, do: str, code: int | None) -> None:
    """The end of the primary container is described, with its exit code if there is one."""
    found = diagnose(pod, "primary")
    check(found, phase, say, do)
    assert (found.ended, found.permanent, found.exit_code) == (True, False, code)


def test_memory_limit_is_named_only_if_it_exists() -> None:
    """Without a memory limit of the container, the memory of the node was the limit."""
    pod = placed(terminated("OOMKilled", 137), phase="Failed")
    pod["spec"] = {**SPEC, "containers": [{"name": "primary"}]}
    assert "than the limit of container 'primary'" in diagnose(pod, "primary").message


def test_long_message_is_cut_at_its_front() -> None:
    """A long message is shortened at its beginning, because the cause is at its end."""
    found = diagnose(waiting("CreateContainerError", "x" * 5000 + " the cause"), "primary")
    assert len(found.message) < 400
    assert found.message.endswith("the cause")


@pytest.mark.pod("P17")
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one two.", "one two"),
        (f"{'word ' * 100}end", f"... {'word ' * 59}end"),
        (f"{'0/5000 nodes: '}{'a' * 298} b", "... b"),
        ("y" * 400, f"... {'y' * 300}"),
        ("a\n  b\tc : ", "a b c"),
    ],
)
def test_long_message_is_cut_between_words(text: str, line: str) -> None:
    """What is left of a long message begins with a whole word, and shows that something is missing."""
    assert one_line(text) == line


@pytest.mark.pod("P17")
def test_long_messages_are_whole_in_the_details() -> None:
    """Messages that the line cuts are listed whole, with their reasons; short ones are not repeated."""
    long = " ".join(f"node-{number}: taint" for number in range(60))
    pod = unplaced("Unschedulable", long)
    pod["status"] |= {"reason": "Evicted", "message": "short"}
    pod["status"]["containerStatuses"] = [
        container("side", waiting={"reason": "ErrImagePull", "message": long})
    ]
    assert list(long_messages(pod)) == [f"Unschedulable: {long}", f"ErrImagePull: {long}"]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "x": secret "x" not found'),
        ("FailedMount", "hostPath type check failed"),
        ("FailedCreatePodSandBox", "no network"),
        ("Pulling", "Pulling image"),
        ("TriggeredScaleUp", "new node"),
        ("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (x)"),
        ("Killing", "Stopping container primary"),
        ("Evicted", "The node was low on resource"),
    ],
)
def test_forged_events_do_not_change_a_running_pod(reason: str, message: str) -> None:
    """Whoever may create events cannot end a cell that runs."""
    status = {"name": "primary", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "ready": True}
    pod = {"metadata": {}, "spec": SPEC, "status": {"phase": "Running", "containerStatuses": [status]}}
    event = {"reason": reason, "message": message, "type": "Warning"}
    found = diagnose(pod, "primary", [event])
    assert found == diagnose(pod, "primary", [])
    assert not found.permanent
    assert not found.ended
