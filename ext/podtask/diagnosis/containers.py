"""Which container holds up a pod's start, and why: init containers, sidecars, the primary. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .model import Diagnosis, Events, Pod, one_line, statuses
from .scheduling import KEYS, MISSING, absent

# Reasons of a container that waiting does not cure.
CANNOT_START = {
    "ErrImageNeverPull",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "ContainerCannotRun",
    "PreStartHookError",
    "PostStartHookError",
}
PULLS = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable")
NO_IMAGE = ("not found", "manifest unknown", "invalid reference", "no match for platform")
# In words, which Go writes beside each status code: an image's tag may be any number.
NO_RIGHT = re.compile(r"unauthorized|denied|forbidden|no basic auth|authentication required")
RATE = re.compile(r"toomanyrequests|too many requests|rate limit")
NO_PROGRAM = re.compile(r'exec: "(?P<name>[^"]+)": .*(executable file not found|no such file or directory)')
# A busy node's runtime answers late, and the kubelet asks again.
BUSY = ("context deadline exceeded", "failed to reserve container name", "DeadlineExceeded")
SUB_PATH = re.compile(r"subPath", re.IGNORECASE)
START_SECONDS = 6  # for an error that the kubelet meets again at each try
PULL_SECONDS = 5  # a registry may answer wrongly once
SIDECAR_SECONDS = 6  # a native sidecar is restarted
KEY_MISSING = re.compile(r"couldn't find key (?P<name>\S+) in (?P<kind>Secret|ConfigMap)")


def held_up(pod: Pod, primary: str, events: Events) -> Diagnosis | None:
    """Return what holds up a container, in the order in which they start; None: nothing does."""
    return next((found for _, found in all_held_up(pod, primary, events)), None)


def all_held_up(pod: Pod, primary: str, events: Events) -> Iterator[tuple[str, Diagnosis]]:
    """Yield each container that is held up, by its name, in the order in which they start."""
    first = {each["name"] for each in pod["spec"].get("initContainers", [])}
    for kind, container in statuses(pod, primary):
        name = container["name"]
        path = f"{'initContainers' if name in first else 'containers'}[{name}]"
        found = _one(kind, container, events, path)
        if found is not None:
            yield name, found


def _one(kind: str, container: dict[str, Any], events: Events, path: str) -> Diagnosis | None:
    name, state = container["name"], container.get("state", {})
    who = f"{kind} {name!r}"
    waiting, done = state.get("waiting", {}), state.get("terminated", {})
    reason = waiting.get("reason", "")
    message = one_line(waiting.get("message"))
    if kind == "init container" and done.get("exitCode"):
        return _failed_init(who, name, done)
    if done.get("reason") in CANNOT_START:
        return _cannot_start(done["reason"], one_line(done.get("message")), who, path, 0)
    before = container.get("lastState", {}).get("terminated", {})
    if before.get("reason") in CANNOT_START:
        return _cannot_start(before["reason"], one_line(before.get("message")), who, path, SIDECAR_SECONDS)
    if before and container.get("restartCount") and not container.get("started"):
        say = f"{who} keeps exiting with code {before.get('exitCode')}"
        return Diagnosis(
            "Sidecar failing",
            say,
            f"Change its command, args or env: spec.initContainers[{name}].",
            "sidecar failing",
            "initContainers",
            limit=SIDECAR_SECONDS,
            log=name,
        )
    if reason == "InvalidImageName":
        return Diagnosis(
            reason,
            f"the image name of {who} is not valid: {message}",
            "Use the form registry/name:tag, with --image or in the template.",
            "invalid name",
            f"{path}.image",
            limit=0,
        )
    if reason in CANNOT_START:
        return _cannot_start(reason, message, who, path, START_SECONDS)
    if reason in PULLS:
        return _pulling(
            reason,
            str(waiting.get("message", "")),
            who,
            container.get("image", ""),
            f"{path}.image",
            events,
        )
    if reason == "CreateContainerConfigError":
        return _config(message, who, path)
    return None


def _failed_init(who: str, name: str, done: dict[str, Any]) -> Diagnosis:
    message = one_line(done.get("message"))
    reason = f", {done['reason']}" if done.get("reason") == "OOMKilled" else ""
    say = f"{who} failed with exit code {done['exitCode']}{reason}"
    return Diagnosis(
        "Init failed",
        f"{say}: {message}" if message else say,
        f"Change its command, args or env: spec.initContainers[{name}].",
        "init failing",
        f"initContainers[{name}]",
        limit=0,
        log="" if message else name,
    )


def _cannot_start(reason: str, message: str, who: str, path: str, limit: float) -> Diagnosis:
    """A container that the runtime does not start; the limit is 0 where it is not tried again."""
    program = NO_PROGRAM.search(message)
    if program and who.startswith("container "):
        return Diagnosis(
            reason,
            f"the image of {who} has no {program['name']}{'' if '/' in program['name'] else ' in its PATH'}",
            "Choose an image with Python 3.9 or newer: --image python:3.12-slim; "
            "or set its path with --python.",
            "no python",
            "image",
            limit=0,
        )
    if program:
        return Diagnosis(
            reason,
            f"the image of {who} has no program {program['name']!r}",
            f"Change its command or its image: spec.{path}.",
            "no program",
            path,
            limit=0,
        )
    if limit and any(word in message for word in BUSY):
        return Diagnosis(
            reason,
            f"{who} has not been created yet: {message}",
            "The node is busy and will retry.",
            "node busy",
            "",
        )
    if limit and SUB_PATH.search(message):
        return _sub_path(reason, message, who, path)
    return Diagnosis(
        reason,
        f"{who} cannot start: {message}",
        "Check its image, command and mounts in the template.",
        "cannot start",
        "image, command, volumeMounts",
        limit=limit,
    )


def _sub_path(reason: str, message: str, who: str, path: str) -> Diagnosis:
    """The kubelet tries again: another pod, or a file server, may yet make the path."""
    return Diagnosis(
        reason,
        f"{who}: {message}",
        f"Change: spec.{path}.volumeMounts[].subPath.",
        "mount",
        f"{path}.volumeMounts[].subPath",
    )


def _config(message: str, who: str, path: str) -> Diagnosis:
    """A container whose environment names what is not there."""
    field = f"{path}.env or .envFrom"
    key, missing = KEY_MISSING.search(message) or KEYS.search(message), MISSING.search(message)
    if missing:
        return absent(missing["kind"], missing["name"], field, f"{who}: {message}")
    if key:
        return absent(f"{key['kind'].lower()} key", key["name"], field, f"{who}: {message}")
    if SUB_PATH.search(message):
        return _sub_path("CreateContainerConfigError", message, who, path)
    return Diagnosis(
        "CreateContainerConfigError",
        f"{who}: {message}",
        "Check its env, envFrom and securityContext in the template.",
        "cannot start",
        path,
        limit=START_SECONDS,
    )


def _pulling(reason: str, message: str, who: str, image: str, field: str, events: Events) -> Diagnosis:
    cause = message.replace(image, "").lower()
    say = f"image {image} of {who}: {one_line(message)}"
    if RATE.search(cause):
        return Diagnosis(
            "Rate limited",
            say,
            "The node will retry; imagePullSecrets of an account raise the limit.",
            "rate limited",
            "imagePullSecrets",
        )
    secret = next(
        (
            re.search(r"\(([^)]*)\)", each["message"])
            for each in reversed(events)
            if each.get("reason") == "FailedToRetrieveImagePullSecret"
        ),
        None,
    )
    absent_image = any(each in cause for each in NO_IMAGE)
    refused = NO_RIGHT.search(cause)
    if secret and (absent_image or refused):
        return Diagnosis(
            reason,
            f"pull secret {secret[1]} is missing; {say}",
            "Create it in the pod's namespace, or change: spec.imagePullSecrets.",
            "pull secret missing",
            "imagePullSecrets",
            limit=PULL_SECONDS,
        )
    if refused:
        return Diagnosis(
            reason,
            say,
            "The registry requires a login, or the image does not exist: check "
            "the image's name, tag and pull secret: spec.imagePullSecrets.",
            "no right to pull",
            "imagePullSecrets",
            limit=PULL_SECONDS,
        )
    if absent_image:
        return Diagnosis(
            reason,
            say,
            "Check the image's name, tag and pull secret.",
            "image not found",
            field,
            limit=PULL_SECONDS,
        )
    return Diagnosis(
        reason,
        say,
        "The node will retry; check the image's name and registry.",
        "registry not reached",
        field,
    )
