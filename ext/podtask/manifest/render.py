"""Render the pod of a cell from a pod template and the options. Pure.

The rules follow Flyte's pod templates. Each field of the template that a rule overwrites is named in a
notice. The template itself is never changed.
"""

from __future__ import annotations

from typing import Any

from ..config.options import PLAIN, RunOptions
from ..diagnosis.queueing import QUEUE_LABEL
from ..errors import InputError
from ..runner.bundle import MINOR, boot_program
from ..runner.protocol import PROTOCOL_VERSION
from ..template.gpus import remove_gpus, set_gpus
from ..template.pod_document import DEFAULT_CONTAINER
from ..template.restricted import give_scratch, restrict
from ..template.shared_memory import MOUNT_PATH, is_shared_memory_mounted, mount_shared_memory
from ..template.template import PodTemplate, primary_container
from ..template.validation import odd_values, pod_problems, raise_problems, template_problems
from .dropped_fields import drop_probes, drop_restarts, reset_message_path
from .identity import NAME_PREFIX
from .labels import BOUNDS_ANNOTATION, MANAGED_BY, MANAGER, PROTOCOL_ANNOTATION, RESULTS_ANNOTATION
from .pod_manifest import (
    HIDDEN_KEY,
    HIDDEN_LOCK,
    HIDDEN_PORT,
    LINGER_SECONDS,
    PodManifest,
)
from .results_volume import check_results_path

GPU_LINGER_SECONDS = 600.0  # for a pod that holds devices: other pods may wait for them
LOCAL_LINGER_SECONDS = 600.0  # for a local process: only the notebook that started it can find it
START_SECONDS = 3600  # at least, in the deadline of the pod: images have to be pulled, for example


def render(template: PodTemplate | None, options: RunOptions, python: str = MINOR) -> PodManifest:
    """Return the pod for a cell; it belongs to no task yet.

    Args:
        template: The user's pod template; None for an empty one.
        options: Image, resources and time limits.
        python: Minor version of the default image, ``3.11``; the notebook's by default.

    Raises:
        InputError: The template contradicts itself or the options. The message names the field.
    """
    template = template or PodTemplate()
    whole = template.to_dict()
    raise_problems(template_problems(whole))
    spec = whole["spec"]
    name = options.primary or template.primary_container_name
    notices = [*_notices_about_place(spec, name), *template.notices]
    primary = primary_container(spec, name)
    template_image = primary.get("image")
    if options.image and template_image and template_image != options.image:
        notices.append(f"image {template_image} of container {name!r} is replaced by {options.image}")
    primary["image"] = options.image or template_image or f"python:{python}-slim"
    _set_command(primary, options, notices)
    if not options.keep_probes:
        drop_probes(primary, notices)
    drop_restarts(spec, primary, notices)
    reset_message_path(primary, notices)
    if options.restricted and not options.local:
        restrict(primary, spec.get("securityContext", {}), notices)
        give_scratch(spec, primary, "podtask-tmp")
    variables = [each["name"] for each in primary.get("env", [])]
    for variable in dict.fromkeys(each for each in variables if each in dict(options.env)):
        notices.append(f"env {variable} of container {name!r} is replaced in the cell by --env")
    primary["env"] = _merge_env(primary, options.wait)
    _set_resources(spec, primary, options)
    primary.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    if spec.get("restartPolicy", "Never") != "Never":
        notices.append(f"restartPolicy {spec['restartPolicy']} becomes Never: a cell runs once")
    spec["restartPolicy"] = "Never"
    spec.setdefault("enableServiceLinks", False)
    if not {"serviceAccountName", "serviceAccount"} & set(spec):
        spec.setdefault("automountServiceAccountToken", False)
    linger = _linger_seconds(spec, options)
    start_seconds = max(START_SECONDS, options.start_timeout or 0.0)
    spec.setdefault("activeDeadlineSeconds", int(options.timeout + linger + start_seconds))
    if options.results_in and not options.local:
        check_results_path(spec, primary, options.results_in)
    metadata = _metadata(whole["metadata"], options, notices)
    metadata["annotations"] |= {
        DEFAULT_CONTAINER: name,
        BOUNDS_ANNOTATION: _format_bounds(spec, options, linger),
        PROTOCOL_ANNOTATION: str(PROTOCOL_VERSION),
    }
    if options.results == PLAIN:
        metadata["annotations"][RESULTS_ANNOTATION] = PLAIN
    raise_problems(pod_problems(spec, name, {"cpu": "--cpu"} if options.cpu else {}))
    if not options.local:  # a local run names the sidecars that it ignores
        notices += _notices_about_limits(spec, name)
    notices += [f"{mistake.path} {mistake.message}" for mistake in odd_values(spec)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return PodManifest(pod, tuple(notices))


def _metadata(given: dict[str, Any], options: RunOptions, notices: list[str]) -> dict[str, Any]:
    """Return the metadata of a pod that belongs to no task yet, and add notices about replaced labels.

    Args:
        given: Metadata of the template.
        options: Options of the cell.
        notices: List that the notices are appended to.
    """
    labels = given.get("labels", {})
    ours = {MANAGED_BY: MANAGER, **({QUEUE_LABEL: options.queue} if options.queue else {})}
    notices += [
        f"label {name}: {labels[name]} becomes {value}"
        for name, value in ours.items()
        if labels.get(name, value) != value
    ]
    return {
        "generateName": NAME_PREFIX,
        **({"namespace": given["namespace"]} if "namespace" in given else {}),
        "labels": {**labels, **ours},
        "annotations": dict(given.get("annotations", {})),
    }


def _notices_about_place(spec: dict[str, Any], name: str) -> list[str]:
    """Return a notice if the cell runs in a container that is added beside those of the template."""
    others = [each["name"] for each in spec.get("containers", [])]
    if not others or name in others:
        return []
    choice = others[0] if len(others) == 1 else "NAME"
    which = "it" if len(others) == 1 else "one of them"
    return [
        f"the cell runs in an added container, {name}; beside it: {', '.join(others)}. "
        f"To run in {which}: --primary {choice}"
    ]


def _set_command(primary: dict[str, Any], options: RunOptions, notices: list[str]) -> None:
    for part in ("command", "args"):
        if primary.pop(part, None):
            notices.append(f"{part} of container {primary['name']!r} is replaced: the cell runs there")
    part = "args" if options.entrypoint == "keep" else "command"
    primary[part] = [options.python, "-I", "-c", boot_program()]


def _linger_seconds(spec: dict[str, Any], options: RunOptions) -> float:
    if options.linger is not None:
        return options.linger
    if options.local:
        return LOCAL_LINGER_SECONDS
    return GPU_LINGER_SECONDS if _holds_devices(spec) else LINGER_SECONDS


def _holds_devices(spec: dict[str, Any]) -> bool:
    """Return whether a pod holds devices that others may wait for: by resource claims or extended resources."""
    # The name of an extended resource has a domain: nvidia.com/gpu.
    return bool(spec.get("resourceClaims")) or any(
        "/" in name
        for container in spec["containers"]
        for part in ("requests", "limits")
        for name in container.get("resources", {}).get(part, {})
    )


def _format_bounds(spec: dict[str, Any], options: RunOptions, linger: float) -> str:
    seconds_by_name = {
        "start_timeout": options.start_seconds,
        "timeout": options.timeout,
        "linger": linger,
        "grace": options.grace,
        "keep": options.keep,
    }
    if "terminationGracePeriodSeconds" in spec:
        seconds_by_name["end"] = max(1, int(spec["terminationGracePeriodSeconds"]))
    if options.pull_timeout is not None:
        seconds_by_name["pull_timeout"] = options.pull_timeout
    return " ".join(f"{name}={seconds:.12g}" for name, seconds in seconds_by_name.items())


def _notices_about_limits(spec: dict[str, Any], primary: str) -> list[str]:
    """Return a notice about the sidecars without resource limits: they can starve the cell."""
    unlimited = [
        each["name"]
        for each in spec["containers"]
        if each["name"] != primary and not each.get("resources", {}).get("limits")
    ]
    if not unlimited:
        return []
    return [
        f"no resource limits on {', '.join(unlimited)}: a sidecar can starve the cell (set resources.limits)"
    ]


def _merge_env(primary: dict[str, Any], wait: float) -> list[dict[str, Any]]:
    """Return the environment variables of the primary container, followed by podtask's own."""
    given: list[dict[str, Any]] = []
    latest: dict[str, dict[str, Any]] = {}
    for entry in primary.get("env", []):
        if str(entry.get("name", "")).startswith("PODTASK_"):
            raise InputError(
                f"env {entry['name']} of container {primary['name']!r} is reserved.",
                "podtask sets the variables whose names begin with PODTASK_. Choose another name.",
            )
        # The kubelet expands $(NAME) with the entries before it, so an entry stays where it is.
        if latest.get(entry["name"]) == entry and "$(" not in str(entry.get("value")):
            continue
        latest[entry["name"]] = entry
        given.append(entry)
    ours = {
        "PODTASK_KEY": HIDDEN_KEY,
        "PODTASK_LOCK": HIDDEN_LOCK,
        "PODTASK_PORT": HIDDEN_PORT,
        "PODTASK_WAIT": f"{wait:g}",
    }
    return [*given, *({"name": name, "value": value} for name, value in ours.items())]


def _set_resources(spec: dict[str, Any], primary: dict[str, Any], options: RunOptions) -> None:
    resources = primary.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if options.cpu:
        requests["cpu"] = options.cpu
    if options.memory:
        requests["memory"] = limits["memory"] = options.memory
    limits |= dict(options.limits)
    merged = {"requests": requests, "limits": limits}
    resources = {**resources, **{name: part for name, part in merged.items() if part}}
    if resources:
        primary["resources"] = resources
    if options.gpu == 0:
        remove_gpus(primary, options.gpu_key)
    elif options.gpu:
        set_gpus(spec, primary, options.gpu_key, options.gpu)
    if options.gpu or options.shm:
        _set_shared_memory(spec, primary, options.shm)


def _set_shared_memory(spec: dict[str, Any], primary: dict[str, Any], size: str | None) -> None:
    if not is_shared_memory_mounted(primary):
        mount_shared_memory(spec, primary, "podtask-shm", size)
    elif size:
        raise InputError(
            f"--shm: the template already mounts a volume at {MOUNT_PATH}.", "Remove the option or the mount."
        )
