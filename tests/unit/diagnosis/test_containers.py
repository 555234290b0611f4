"""Containers that do not start: whether waiting helps, and which container is the cause."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.diagnosis.containers import start_problems
from podtask.diagnosis.diagnose import diagnose

from tests.unit.diagnosis.test_diagnose import (
    IMAGE,
    NO_PYTHON,
    NOT_FOUND,
    SPEC,
    container,
    placed,
    waiting,
)

RUNC = "failed to create containerd task: OCI runtime create failed: unable to start container process: "
BUSY = {
    "late": ("CreateContainerError", "context deadline exceeded"),
    "name": (
        "CreateContainerError",
        'failed to reserve container name "primary_x_0": name is reserved for "4ab"',
    ),
    "run": ("RunContainerError", "context deadline exceeded"),
    "sub path": (
        "CreateContainerConfigError",
        'failed to prepare subPath for volumeMount "data" of container "primary"',
    ),
    "sub path, created": (
        "CreateContainerError",
        'failed to create subPath directory for volumeMount "data" of container "primary"',
    ),
}


@pytest.mark.feature("N04")
@pytest.mark.parametrize(("reason", "message"), BUSY.values(), ids=BUSY)
def test_problem_that_the_kubelet_retries_is_not_final(reason: str, message: str) -> None:
    """A problem that the kubelet retries is reported, and the task keeps waiting."""
    found = diagnose(waiting(reason, message), "primary")
    assert not found.permanent
    assert "container 'primary'" in found.message
    assert message in found.message
    assert ("subPath" in found.field) == ("subPath" in message)


@pytest.mark.feature("N04")
def test_persistent_error_fails_within_ten_seconds() -> None:
    """An error that persists ends the task within ten seconds, but not at once."""
    found = diagnose(waiting("CreateContainerError", 'no such device "/dev/x"'), "primary")
    assert found.give_up_seconds == 6


@pytest.mark.pod("P15")
@pytest.mark.parametrize(
    ("message", "field"),
    [
        (
            "failed to create containerd task: apparmor failed to apply profile: no such file or directory",
            "securityContext.appArmorProfile",
        ),
        (
            'cannot load seccomp profile "/var/lib/kubelet/seccomp/absent.json": open: no such file',
            "securityContext.seccompProfile",
        ),
        ("failed to apply caps: unknown capability CAP_MOON", "securityContext.capabilities"),
    ],
)
def test_profile_that_the_node_lacks_names_its_field(message: str, field: str) -> None:
    """A container that cannot be created because of its security context names the field to change."""
    found = diagnose(waiting("CreateContainerError", message), "primary")
    assert found.field == f"spec.containers[primary].{field}"
    assert found.field in found.hint
    assert found.give_up_seconds == 6


PROGRAMS = {
    # pod, part of the sentence, part of the hint
    "native sidecar": (
        {
            "spec": {**SPEC, "initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
            "status": {
                "initContainerStatuses": [
                    container("proxy", waiting={"reason": "RunContainerError", "message": NO_PYTHON})
                ]
            },
        },
        "image of sidecar 'proxy' has no program 'python3'",
        "spec.initContainers[proxy]",
    ),
    "native sidecar, again": (
        {
            "spec": {**SPEC, "initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
            "status": {
                "initContainerStatuses": [
                    {
                        **container("proxy", waiting={"reason": "CrashLoopBackOff"}),
                        "restartCount": 1,
                        "lastState": {
                            "terminated": {"reason": "StartError", "exitCode": 128, "message": NO_PYTHON}
                        },
                    }
                ]
            },
        },
        "image of sidecar 'proxy' has no program 'python3'",
        "spec.initContainers[proxy]",
    ),
    "sidecar": (
        placed(
            container(
                "side",
                terminated={
                    "reason": "StartError",
                    "exitCode": 128,
                    "message": RUNC + 'exec: "serve": executable file not found in $PATH: unknown',
                },
            )
        ),
        "image of sidecar 'side' has no program 'serve'",
        "spec.containers[side]",
    ),
    "primary": (
        placed(
            container(
                "primary",
                terminated={
                    "reason": "StartError",
                    "exitCode": 128,
                    "message": RUNC + 'exec: "/opt/py": stat /opt/py: no such file or directory: unknown',
                },
            )
        ),
        "image of container 'primary' has no /opt/py",
        "--python",
    ),
}


@pytest.mark.feature("N09", "N04")
@pytest.mark.parametrize(("pod", "say", "do"), PROGRAMS.values(), ids=PROGRAMS)
def test_missing_program_is_named_by_container(pod: dict[str, Any], say: str, do: str) -> None:
    """A missing Python is reported only for the primary; for a sidecar, its own program is named."""
    found = diagnose(pod, "primary")
    assert say in found.message
    assert do in found.hint
    assert ("--image" in found.hint) == ("'primary'" in say)
    assert found.give_up_seconds == 0


@pytest.mark.feature("N09")
def test_each_waiting_container_is_reported() -> None:
    """U15: two sidecars with the same problem are both reported."""
    trouble = {"reason": "InvalidImageName", "message": "bad"}
    pod = placed(container("one", waiting=trouble), container("two", waiting=trouble))
    assert [name for name, _ in start_problems(pod, "primary", [])] == ["one", "two"]


@pytest.mark.parametrize(
    ("reason", "message", "cause"),
    [
        (
            "CreateContainerConfigError",
            'secret "db" not found',
            "secret 'db' does not exist (sidecar 'side' needs it)",
        ),
        ("ErrImagePull", NOT_FOUND, f"image {IMAGE} of sidecar 'side': not found in its registry"),
        ("RunContainerError", NO_PYTHON, "the image of sidecar 'side' has no program 'python3'"),
    ],
)
def test_cause_names_the_sidecar_while_the_cell_runs(reason: str, message: str, cause: str) -> None:
    """U15: the cell runs, and why the sidecar does not start is said with its name."""
    side = container("side", waiting={"reason": reason, "message": message})
    pod = placed(container("primary", running={}), side, phase="Running")
    assert [(name, each.message) for name, each in start_problems(pod, "primary", [])] == [("side", cause)]


@pytest.mark.fault(109)
@pytest.mark.parametrize("message", ["401 Unauthorized", "manifest unknown"])
@pytest.mark.parametrize(
    ("reason", "seconds"), [("TriggeredScaleUp", 300), ("Nominated", 300), ("Scheduled", 5), ("", 5)]
)
def test_registry_that_refuses_a_new_node(message: str, reason: str, seconds: float) -> None:
    """A node that was added for the pod gets minutes for its credentials; others get seconds."""
    events = [{"reason": reason, "message": "pod triggered scale-up"}] if reason else []
    found = diagnose(waiting("ErrImagePull", message), "primary", events)
    assert found.give_up_seconds == seconds


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        (
            "ErrImagePull",
            'failed to pull and unpack image "team/weights:2": failed to resolve reference: not found',
            "image team/weights:2 of volume 'weights': not found in its registry",
        ),
        (
            "ImagePullBackOff",
            'Back-off pulling image "team/weights:2": ErrImagePull: unauthorized',
            "image team/weights:2 of volume 'weights': the registry denies the pull",
        ),
        ("ErrImagePull", 'failed to pull image "app:1": not found', "image app:1: not found in its registry"),
    ],
)
def test_image_of_a_volume_is_not_taken_for_the_containers(reason: str, message: str, said: str) -> None:
    """The kubelet reports the image of a volume as a reason of the container that mounts it."""
    volume = {"name": "weights", "image": {"reference": "team/weights:2"}}
    pod = waiting(reason, message)
    pod["spec"] = {**pod["spec"], "volumes": [{"name": "tmp", "emptyDir": {}}, volume]}
    pod["status"]["containerStatuses"][0]["image"] = "app:1"
    found = diagnose(pod, "primary")
    assert found.message == said
    assert (found.field == "volumes[weights].image.reference") == ("not found" in said and "weights" in said)
