"""Find the container that delays the start of a pod, and explain why. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .causes import registry_cause
from .kubelet_kills import find_kill
from .model import Diagnosis, Events, Pod, container_statuses, one_line
from .scheduling import MISSING_KEY, MISSING_OBJECT, NEW_NODE_REASONS, NEW_NODE_SECONDS, missing_object

# Reasons of a container that will not start, however long we wait.
CANNOT_START = {
    "ErrImageNeverPull",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "ContainerCannotRun",
    "PreStartHookError",
    "PostStartHookError",
}
PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable")
IMAGE_NOT_FOUND_TEXTS = ("not found", "manifest unknown", "invalid reference", "no match for platform")
# Words, not status codes: the tag of an image may be any number.
PULL_DENIED = re.compile(r"unauthorized|denied|forbidden|no basic auth|authentication required")
RATE_LIMITED = re.compile(r"toomanyrequests|too many requests|rate limit")
PROGRAM_NOT_FOUND = re.compile(
    r'exec: "(?P<name>[^"]+)": .*(executable file not found|no such file or directory)'
)
# The container runtime of a busy node answers too late; the kubelet tries again.
BUSY_NODE_TEXTS = ("context deadline exceeded", "failed to reserve container name", "DeadlineExceeded")
# What the container runtime cannot apply -> field of the container.
SECURITY_FIELDS = (
    (re.compile("apparmor", re.IGNORECASE), "securityContext.appArmorProfile"),
    (re.compile("seccomp", re.IGNORECASE), "securityContext.seccompProfile"),
    (re.compile("capabilit(y|ies)", re.IGNORECASE), "securityContext.capabilities"),
    (re.compile("selinux", re.IGNORECASE), "securityContext.seLinuxOptions"),
)
SUB_PATH = re.compile(r"subPath", re.IGNORECASE)
START_SECONDS = 6  # the kubelet gets the same error at each attempt
PULL_SECONDS = 5  # a registry may fail once
PULL_CATEGORIES = {"pull denied", "pull secret missing", "image not found"}
SIDECAR_FAILING = "sidecar failing"  # category of a sidecar that ends again and again
SIDECAR_SECONDS = 6  # the kubelet restarts a native sidecar
MISSING_ENV_KEY = re.compile(
    r"couldn't find key (?P<name>\S+) in (?P<kind>Secret|ConfigMap)(?: \S+/(?P<owner>\S+))?"
)


def first_start_problem(pod: Pod, primary: str, events: Events) -> Diagnosis | None:
    """Return why the first container that cannot start does not start; None if all can.

    Args:
        pod: The pod as the API server returns it.
        primary: Name of the primary container.
        events: Events of the pod, oldest first.
    """
    return next((problem for _, problem in start_problems(pod, primary, events)), None)


def start_problems(pod: Pod, primary: str, events: Events) -> Iterator[tuple[str, Diagnosis]]:
    """Yield name and diagnosis of each container that cannot start, in the order in which they start.

    Args:
        pod: The pod as the API server returns it.
        primary: Name of the primary container.
        events: Events of the pod, oldest first.
    """
    init_names = {each["name"] for each in pod["spec"].get("initContainers", [])}
    volumes = [each for each in pod["spec"].get("volumes", []) if each.get("image", {}).get("reference")]
    image_volumes = {str(each["image"]["reference"]): str(each["name"]) for each in volumes}
    for kind, status in container_statuses(pod, primary):
        name = status["name"]
        path = f"{'initContainers' if name in init_names else 'containers'}[{name}]"
        problem = _start_problem(kind, status, events, path, image_volumes)
        if problem is not None:
            yield name, problem


def _start_problem(
    kind: str, status: dict[str, Any], events: Events, path: str, image_volumes: Mapping[str, str]
) -> Diagnosis | None:
    """Return why a container does not start; None if nothing is wrong.

    Args:
        kind: Kind of the container, as :func:`container_statuses` yields it.
        status: Status of the container.
        events: Events of the pod, oldest first.
        path: Path of the container in the pod spec.
        image_volumes: Images that are volumes -> name of the volume.
    """
    name, state = status["name"], status.get("state", {})
    container = f"{kind} {name!r}"
    waiting, terminated = state.get("waiting", {}), state.get("terminated", {})
    reason = waiting.get("reason", "")
    message = one_line(waiting.get("message"))
    if kind == "init container" and terminated.get("exitCode"):
        return _init_failed(container, name, terminated)
    if terminated.get("reason") in CANNOT_START:
        cause = one_line(terminated.get("message"))
        return _cannot_start(terminated["reason"], cause, container, path, 0)
    # Kubernetes 1.32 shows a native sidecar that waits for its restart as terminated, without a last state.
    last_end = status.get("lastState", {}).get("terminated") or terminated
    if last_end.get("reason") in CANNOT_START:
        cause = one_line(last_end.get("message"))
        return _cannot_start(last_end["reason"], cause, container, path, SIDECAR_SECONDS)
    if last_end and status.get("restartCount") and not status.get("started"):
        kill = find_kill(events, name)
        code = f"{container} keeps exiting with code {last_end.get('exitCode')}"
        return Diagnosis(
            "Sidecar failing",
            f"{code}: the kubelet kills it: {kill.sentence}" if kill else code,
            f"Change {kill.field}." if kill else f"Change its command, args or env: spec.{path}.",
            SIDECAR_FAILING,
            "initContainers",
            give_up_seconds=SIDECAR_SECONDS,
            log_container=name,
        )
    if reason == "InvalidImageName":
        return Diagnosis(
            reason,
            f"the image name of {container} is not valid: {message}",
            "Use the form registry/name:tag, with --image or in the template.",
            "invalid name",
            f"{path}.image",
            give_up_seconds=0,
        )
    if reason in CANNOT_START:
        return _cannot_start(reason, message, container, path, START_SECONDS)
    if reason in PULL_REASONS:
        return _image_problem(reason, status, container, path, image_volumes, events)
    if reason == "CreateContainerConfigError":
        return _config_error(message, container, path)
    return None


def _init_failed(container: str, name: str, terminated: dict[str, Any]) -> Diagnosis:
    cause = one_line(terminated.get("message"))
    oom_killed = ", OOMKilled" if terminated.get("reason") == "OOMKilled" else ""
    message = f"{container} failed with exit code {terminated['exitCode']}{oom_killed}"
    return Diagnosis(
        "Init failed",
        f"{message}: {cause}" if cause else message,
        f"Change its command, args or env: spec.initContainers[{name}].",
        "init failing",
        f"initContainers[{name}]",
        give_up_seconds=0,
        log_container="" if cause else name,
    )


def _cannot_start(reason: str, message: str, container: str, path: str, give_up_seconds: float) -> Diagnosis:
    """Return why the container runtime does not start a container.

    Args:
        reason: The runtime's reason.
        message: The runtime's message, in one line.
        container: Kind and name of the container.
        path: Path of the container in the pod spec.
        give_up_seconds: Seconds after which podtask gives up; 0 if the kubelet does not try again.
    """
    program = PROGRAM_NOT_FOUND.search(message)
    if program and container.startswith("container "):
        where = "" if "/" in program["name"] else " in its PATH"
        return Diagnosis(
            reason,
            f"the image of {container} has no {program['name']}{where}",
            "Choose an image with Python 3.9 or newer: --image python:3.12-slim; "
            "or set its path with --python.",
            "no python",
            "image",
            give_up_seconds=0,
        )
    if program:
        return Diagnosis(
            reason,
            f"the image of {container} has no program {program['name']!r}",
            f"Change its command or its image: spec.{path}.",
            "no program",
            path,
            give_up_seconds=0,
        )
    if give_up_seconds and any(text in message for text in BUSY_NODE_TEXTS):
        return Diagnosis(
            reason,
            f"{container} has not been created yet: {message}",
            "The node is busy and will retry.",
            "node busy",
            "",
        )
    if give_up_seconds and SUB_PATH.search(message):
        return _sub_path_error(reason, message, container, path)
    field = next((field for pattern, field in SECURITY_FIELDS if pattern.search(message)), "")
    field = f"spec.{path}.{field}" if field else ""
    return Diagnosis(
        reason,
        f"{container} cannot start: {message}",
        f"Change {field} in the template, or choose nodes that support it: spec.nodeSelector."
        if field
        else "Check its image, command and mounts in the template.",
        "cannot start",
        field or "image, command, volumeMounts",
        give_up_seconds=give_up_seconds,
    )


def _sub_path_error(reason: str, message: str, container: str, path: str) -> Diagnosis:
    """Return the diagnosis of a subPath that cannot be mounted.

    The kubelet tries again: another pod or a file server may still create the path.
    """
    return Diagnosis(
        reason,
        f"{container}: {message}",
        f"Change spec.{path}.volumeMounts[].subPath in the template.",
        "mount",
        f"{path}.volumeMounts[].subPath",
    )


def _config_error(message: str, container: str, path: str) -> Diagnosis:
    """Return why a container cannot be configured: usually, its env refers to a missing object."""
    field = f"{path}.env or .envFrom"
    missing = MISSING_OBJECT.search(message)
    key = MISSING_ENV_KEY.search(message) or MISSING_KEY.search(message)
    if missing:
        return missing_object(missing["kind"], missing["name"], field, container)
    if key:
        kind, owner = key["kind"].lower(), key.groupdict().get("owner")
        found = missing_object(f"{kind} key", key["name"], field, container)
        if not owner:
            return found
        return replace(found, message=f"{kind} {owner!r} has no key {key['name']!r} ({container} needs it)")
    if SUB_PATH.search(message):
        return _sub_path_error("CreateContainerConfigError", message, container, path)
    return Diagnosis(
        "CreateContainerConfigError",
        f"{container}: {message}",
        "Check its env, envFrom and securityContext in the template.",
        "cannot start",
        path,
        give_up_seconds=START_SECONDS,
    )


def _image_problem(
    reason: str,
    status: dict[str, Any],
    container: str,
    path: str,
    image_volumes: Mapping[str, str],
    events: Events,
) -> Diagnosis:
    """Return why the image of a container, or of a volume that it mounts, cannot be pulled.

    The kubelet pulls the images of volumes when it starts a container, and reports them as the container's.
    """
    image, full_message = status.get("image", ""), str(status["state"]["waiting"].get("message", ""))
    for reference, volume in image_volumes.items():
        if f'"{reference}"' in full_message and reference != image:
            field = f"volumes[{volume}].image.reference"
            return _cannot_pull(reason, full_message, f"volume {volume!r}", reference, field, events)
    return _cannot_pull(reason, full_message, container, image, f"{path}.image", events)


def _cannot_pull(
    reason: str, full_message: str, container: str, image: str, field: str, events: Events
) -> Diagnosis:
    """Return why an image cannot be pulled.

    Args:
        reason: The kubelet's reason.
        full_message: The kubelet's message, not cut.
        container: Kind and name of the container or volume.
        image: Name of the image.
        field: Field of the pod template that names the image.
        events: Events of the pod, oldest first.
    """
    cause = full_message.replace(image, "").lower()
    of_sidecar = "" if container.startswith("container ") else f" of {container}"
    name = f"image {image}{of_sidecar}"
    if RATE_LIMITED.search(cause):
        return Diagnosis(
            "Rate limited",
            f"{name}: the registry limits the rate of pulls (429)",
            "The node will retry; a registry account in imagePullSecrets raises the limit.",
            "rate limited",
            "imagePullSecrets",
        )
    missing_secret = next(
        (
            re.search(r"\(([^)]*)\)", each["message"])
            for each in reversed(events)
            if each.get("reason") == "FailedToRetrieveImagePullSecret"
        ),
        None,
    )
    is_new_node = any(each.get("reason") in NEW_NODE_REASONS for each in events)
    seconds = NEW_NODE_SECONDS if is_new_node else PULL_SECONDS
    not_found = any(text in cause for text in IMAGE_NOT_FOUND_TEXTS)
    denied = PULL_DENIED.search(cause)
    if missing_secret and (not_found or denied):
        return Diagnosis(
            reason,
            f"{name}: pull secret {missing_secret[1]} does not exist",
            "Create it in the pod's namespace, or change spec.imagePullSecrets in the template.",
            "pull secret missing",
            "imagePullSecrets",
            give_up_seconds=seconds,
        )
    if denied:
        return Diagnosis(
            reason,
            f"{name}: the registry denies the pull",
            "The registry requires a login, or the image does not exist: check "
            "the image's name, tag and pull secret: spec.imagePullSecrets.",
            "pull denied",
            "imagePullSecrets",
            give_up_seconds=seconds,
        )
    if not_found:
        return Diagnosis(
            reason,
            f"{name}: not found in its registry",
            "Check the image's name, tag and pull secret.",
            "image not found",
            field,
            give_up_seconds=seconds,
        )
    return Diagnosis(
        reason,
        f"{name}: {registry_cause(full_message)}",
        "The node will retry; check the image's name and registry.",
        "registry unreachable",
        field,
    )
