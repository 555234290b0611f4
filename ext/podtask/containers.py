"""Which container holds up a pod's start, and why: init containers, sidecars, the primary. Pure."""

from __future__ import annotations

import re
from typing import Any

from .findings import Diagnosis, Events, Pod, one_line, statuses
from .placing import KEYS, MISSING, absent

# Reasons of a container that waiting does not cure.
CANNOT_START = {
    "ErrImageNeverPull", "CreateContainerError", "RunContainerError", "StartError",
    "ContainerCannotRun", "PreStartHookError", "PostStartHookError",
}  # fmt: skip
PULLS = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable")
NO_IMAGE = ("not found", "manifest unknown", "invalid reference", "no match for platform")
# In words, which Go writes beside each status code: an image's tag may be any number.
NO_RIGHT = re.compile(r"unauthorized|denied|forbidden|no basic auth|authentication required")
RATE = re.compile(r"toomanyrequests|too many requests|rate limit")
NO_PROGRAM = ("executable file", "no such file or directory")
PULL_SECONDS = 5  # a registry may answer wrongly once
SIDECAR_SECONDS = 10  # a native sidecar is restarted
KEY_MISSING = re.compile(r"couldn't find key (?P<name>\S+) in (?P<kind>Secret|ConfigMap)")


def held_up(pod: Pod, primary: str, events: Events) -> Diagnosis | None:
    """Returns what holds up a container, in the order in which they start; None: nothing does."""
    for kind, container in statuses(pod, primary):
        found = _one(kind, container, events)
        if found is not None:
            return found
    return None


def _one(kind: str, container: dict[str, Any], events: Events) -> Diagnosis | None:
    name, state = container["name"], container.get("state", {})
    who = f"{kind} {name!r}"
    waiting, done = state.get("waiting", {}), state.get("terminated", {})
    reason = waiting.get("reason", "")
    message = one_line(waiting.get("message"))
    if kind == "init container" and done.get("exitCode"):
        return _failed_init(who, name, done)
    if done.get("reason") in CANNOT_START:
        return _cannot_start(done["reason"], one_line(done.get("message")), who)
    before = container.get("lastState", {}).get("terminated", {})
    if before and container.get("restartCount") and not container.get("started"):
        say = f"{who} keeps ending, with exit code {before.get('exitCode')}"
        return Diagnosis("Sidecar failing", say, f"Change its command, args or env: spec.initContainers[{name}].",
                         "sidecar failing", "initContainers", limit=SIDECAR_SECONDS, log=name)  # fmt: skip
    if reason == "InvalidImageName":
        return Diagnosis(reason, f"the image's name of {who} is not valid: {message}",
                         "Write registry/name:tag: --image, or image in the template.",
                         "invalid name", f"containers[{name}].image", limit=0)  # fmt: skip
    if reason in CANNOT_START:
        return _cannot_start(reason, message, who)
    if reason in PULLS:
        return _pulling(reason, str(waiting.get("message", "")), who, container, events)
    if reason == "CreateContainerConfigError":
        return _config(message, who, name)
    return None


def _failed_init(who: str, name: str, done: dict[str, Any]) -> Diagnosis:
    message = one_line(done.get("message"))
    reason = f", {done['reason']}" if done.get("reason") == "OOMKilled" else ""
    say = f"{who} failed with exit code {done['exitCode']}{reason}"
    return Diagnosis("Init failed", f"{say}: {message}" if message else say,
                     f"Change its command, args or env: spec.initContainers[{name}].",
                     "init failing", f"initContainers[{name}]", limit=0,
                     log="" if message else name)  # fmt: skip


def _cannot_start(reason: str, message: str, who: str) -> Diagnosis:
    if any(each in message for each in NO_PROGRAM) and "python3" in message:
        return Diagnosis(reason, f"the image of {who} has no python3 in its PATH",
                         "Choose an image with Python 3.9 or newer: --image python:3.12-slim.",
                         "no python", "image", limit=0)  # fmt: skip
    return Diagnosis(reason, f"{who} cannot start: {message}",
                     "Check its image, command and mounts in the template.",
                     "cannot start", "image, command, volumeMounts", limit=0)  # fmt: skip


def _config(message: str, who: str, name: str) -> Diagnosis:
    """A container whose environment names what is not there."""
    field = f"containers[{name}].env or .envFrom"
    key, missing = KEY_MISSING.search(message) or KEYS.search(message), MISSING.search(message)
    if missing:
        return absent(missing["kind"], missing["name"], field, f"{who}: {message}")
    if key:
        return absent(f"{key['kind'].lower()} key", key["name"], field, f"{who}: {message}")
    return Diagnosis("CreateContainerConfigError", f"{who}: {message}",
                     "Check its env, envFrom and securityContext in the template.",
                     "cannot start", f"containers[{name}]", limit=8)  # fmt: skip


def _pulling(
    reason: str, message: str, who: str, container: dict[str, Any], events: Events
) -> Diagnosis:
    image, name = container.get("image", ""), container["name"]
    cause = message.replace(image, "").lower()
    field = f"containers[{name}].image"
    say = f"image {image} of {who}: {one_line(message)}"
    if RATE.search(cause):
        return Diagnosis("Rate limited", say, "The node tries again; imagePullSecrets of an account "
                         "raise the limit.", "rate limited", "imagePullSecrets")  # fmt: skip
    secret = next((re.search(r"\(([^)]*)\)", each["message"]) for each in reversed(events)
                   if each.get("reason") == "FailedToRetrieveImagePullSecret"), None)  # fmt: skip
    absent_image = any(each in cause for each in NO_IMAGE)
    refused = NO_RIGHT.search(cause)
    if secret and (absent_image or refused):
        return Diagnosis(reason, f"pull secret {secret[1]} is missing; {say}",
                         "Create it in the pod's namespace, or change: spec.imagePullSecrets.",
                         "pull secret missing", "imagePullSecrets", limit=PULL_SECONDS)  # fmt: skip
    if refused:
        return Diagnosis(reason, say, "The registry wants a login, or there is no such image: check "
                         "the image's name, tag and pull secret: spec.imagePullSecrets.",
                         "no right to pull", "imagePullSecrets", limit=PULL_SECONDS)  # fmt: skip
    if absent_image:
        return Diagnosis(reason, say, "Check the image's name, tag and pull secret.",
                         "image not found", field, limit=PULL_SECONDS)  # fmt: skip
    return Diagnosis(reason, say, "The node tries again; check the image's name and registry.",
                     "registry not reached", field)  # fmt: skip
