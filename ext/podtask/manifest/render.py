"""Template and options become a pod: one pure function, one rule table.

The rules are those of design section 4 and of Flyte's pod templates; whatever they overwrite is
said in a notice. The template is never changed.
"""

from __future__ import annotations

from typing import Any

from ..config.options import QUEUE_LABEL, RunOptions
from ..errors import InputError
from ..runner.bundle import MINOR, boot_program
from ..template.restricted import give_scratch, restrict
from ..template.template import DEFAULT_CONTAINER, PodTemplate, primary_container
from ..template.validation import pod_problems, refuse, template_problems
from .identity import NAME_PREFIX
from .labels import BOUNDS, MANAGED_BY
from .pod_manifest import (
    DEFAULT_GRACE_SECONDS,
    HIDDEN_KEY,
    HIDDEN_PORT,
    LINGER_SECONDS,
    PodManifest,
)

GPU_LINGER_SECONDS = 600.0  # where it holds what others wait for
LOCAL_LINGER_SECONDS = 600.0  # of a process, which only the notebook that began it finds
DEADLINE_SECONDS = 3600  # on top of the cell's bounds: for images to be pulled, say


def render(template: PodTemplate | None, options: RunOptions, python: str = MINOR) -> PodManifest:
    """Return the pod for a cell; it belongs to no task yet.

    Args:
        template: The user's pod template; None for an empty one.
        options: Image, resources and time limits.
        python: Minor version of the default image, ``3.11``; the notebook's by default.

    Raises:
        InputError: The template contradicts itself or the options; names the field.
    """
    template = template or PodTemplate()
    whole = template.to_dict()
    refuse(template_problems(whole))
    spec = whole["spec"]
    notices: list[str] = []
    name = template.primary_container_name
    primary = primary_container(spec, name)
    theirs = primary.get("image")
    if options.image and theirs and theirs != options.image:
        notices.append(f"image {theirs} of container {name!r} is replaced by {options.image}")
    primary["image"] = options.image or primary.get("image") or f"python:{python}-slim"
    _set_command(primary, options, notices)
    if options.restricted and not options.local:
        restrict(primary, spec.get("securityContext", {}), notices)
        give_scratch(spec, primary, "podtask-tmp")
    over = [each["name"] for each in primary.get("env", []) if each["name"] in dict(options.env)]
    for variable in dict.fromkeys(over):
        notices.append(f"env {variable} of container {name!r} is replaced in the cell by --env")
    primary["env"] = _env(primary, options.wait)
    _set_resources(spec, primary, options)
    primary.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    if spec.get("restartPolicy", "Never") != "Never":
        notices.append(f"restartPolicy {spec['restartPolicy']} becomes Never: a cell runs once")
    spec["restartPolicy"] = "Never"
    spec.setdefault("enableServiceLinks", False)
    if not {"serviceAccountName", "serviceAccount"} & set(spec):
        spec.setdefault("automountServiceAccountToken", False)
    linger = _linger(primary, options)
    deadline = int(options.timeout + linger) + DEADLINE_SECONDS
    spec.setdefault("activeDeadlineSeconds", deadline)
    metadata = _metadata(whole["metadata"], options)
    metadata["annotations"] |= {DEFAULT_CONTAINER: name, BOUNDS: _bounds(spec, options, linger)}
    refuse(pod_problems(spec, name, {"cpu": "--cpu"} if options.cpu else {}))
    notices += _advice(spec, name)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return PodManifest(pod, tuple(notices))


def _metadata(given: dict[str, Any], options: RunOptions) -> dict[str, Any]:
    """Return the metadata of a pod that has no name yet: labels of a template's pose as no task's."""
    labels = {**given.get("labels", {}), MANAGED_BY: "podtask"}
    if options.queue:
        labels[QUEUE_LABEL] = options.queue
    return {
        "generateName": NAME_PREFIX,
        "labels": labels,
        "annotations": dict(given.get("annotations", {})),
    }


def _set_command(primary: dict[str, Any], options: RunOptions, notices: list[str]) -> None:
    for part in ("command", "args"):
        if primary.pop(part, None):
            notices.append(f"{part} of container {primary['name']!r} is replaced: the cell runs there")
    part = "args" if options.entrypoint == "keep" else "command"
    primary[part] = [options.python, "-c", boot_program()]


def _linger(primary: dict[str, Any], options: RunOptions) -> float:
    if options.linger is not None:
        return options.linger
    if options.local:
        return LOCAL_LINGER_SECONDS
    asked = {
        **primary.get("resources", {}).get("requests", {}),
        **primary.get("resources", {}).get("limits", {}),
    }
    # Extended resources are those with a domain; others may wait for what this pod holds.
    return GPU_LINGER_SECONDS if any("/" in name for name in asked) else LINGER_SECONDS


def _bounds(spec: dict[str, Any], options: RunOptions, linger: float) -> str:
    bounds = {
        "start_timeout": options.start_timeout,
        "timeout": options.timeout,
        "linger": linger,
        "grace": options.grace,
        "end": max(1, int(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS))),
    }
    return " ".join(f"{name}={seconds:.12g}" for name, seconds in bounds.items())


def _advice(spec: dict[str, Any], primary: str) -> list[str]:
    """A sidecar without limits can starve the cell: said, and left to the user."""
    without = [
        each["name"]
        for each in spec["containers"]
        if each["name"] != primary and not each.get("resources", {}).get("limits")
    ]
    if not without:
        return []
    return [
        f"no limits on {', '.join(without)}: what a sidecar takes, the cell may lack (set resources.limits)"
    ]


def _env(primary: dict[str, Any], wait: float) -> list[dict[str, Any]]:
    given: dict[str, dict[str, Any]] = {}
    for entry in primary.get("env", []):
        if str(entry.get("name", "")).startswith("PODTASK_"):
            raise InputError(
                f"env {entry['name']} of container {primary['name']!r} is reserved.",
                "Names that begin with PODTASK_ are ours: choose another.",
            )
        given.pop(entry["name"], None)  # the last wins, at its place
        given[entry["name"]] = entry
    ours = {"PODTASK_KEY": HIDDEN_KEY, "PODTASK_PORT": HIDDEN_PORT, "PODTASK_WAIT": f"{wait:g}"}
    return [*given.values(), *({"name": name, "value": value} for name, value in ours.items())]


def _set_resources(spec: dict[str, Any], primary: dict[str, Any], options: RunOptions) -> None:
    resources = primary.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if options.cpu:
        requests["cpu"] = options.cpu
    if options.memory:
        requests["memory"] = limits["memory"] = options.memory
    if options.gpu:
        limits[options.gpu_key] = str(options.gpu)
        if options.gpu_key in requests:  # an extended resource's must be its limit
            requests[options.gpu_key] = str(options.gpu)
        _tolerate(spec, options.gpu_key)
    if options.gpu or options.shm:
        _set_shared_memory(spec, primary, options.shm)
    merged = {"requests": requests, "limits": limits}
    resources = {**resources, **{name: part for name, part in merged.items() if part}}
    if resources:
        primary["resources"] = resources


def _tolerate(spec: dict[str, Any], key: str) -> None:
    """A GPU's node is tainted as a rule."""
    tolerations = spec.setdefault("tolerations", [])
    if not any(toleration.get("key") == key for toleration in tolerations):
        tolerations.append({"key": key, "operator": "Exists", "effect": "NoSchedule"})


def _set_shared_memory(spec: dict[str, Any], primary: dict[str, Any], size: str | None) -> None:
    """Frameworks need more than the 64 MiB of shared memory that a container has."""
    mounts = primary.setdefault("volumeMounts", [])
    if any(mount.get("mountPath") == "/dev/shm" for mount in mounts):
        if size:
            raise InputError(
                "--shm: the template mounts a volume of its own at /dev/shm.",
                "Leave the option out, or the mount.",
            )
        return
    mounts.append({"name": "podtask-shm", "mountPath": "/dev/shm"})
    memory = {"medium": "Memory", **({"sizeLimit": size} if size else {})}
    spec.setdefault("volumes", []).append({"name": "podtask-shm", "emptyDir": memory})
