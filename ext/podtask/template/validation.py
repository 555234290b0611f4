"""Validation of a pod before any request; each problem has the path of its field. Pure.

Only reports what every API server refuses or what is clearly a mistake. The rest is left to the server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.option_types import parse_variable_name
from ..config.quantities import BYTES, find_mistake, to_decimal
from ..errors import InputError, Problem
from . import schema

OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_RULE = "Use at most 63 lower case letters, digits and dashes, with no dash at either end."
KEY_RULE = (
    "Use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit. "
    "A domain and '/' may come first."
)
VALUE_RULE = "Use at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit."
MAX_ANNOTATIONS_BYTES = 256 * 1024
RESERVED_PREFIX = "podtask-"
MAX_OTHER_PATHS = 3
NO_FLAGS: Mapping[str, str] = {}
# The fields that the API server requires, and what to write, by the kind of source.
REQUIRED_OF_VOLUME = {
    "persistentVolumeClaim": {"claimName": "Write the name of a claim (PVC)."},
    "configMap": {"name": "Write the name of a ConfigMap."},
    "secret": {"secretName": "Write the name of a Secret."},
    "csi": {"driver": "Write the name of a CSI driver, such as gcsfuse.csi.storage.gke.io."},
    "hostPath": {"path": "Write a path on the node, such as /var/data."},
    "nfs": {"server": "Write the name or address of a server.", "path": "Write a path on the server."},
}
REQUIRED_OF_VARIABLE = {
    "secretKeyRef": {"name": "Write the name of a Secret.", "key": "Write a key of the Secret."},
    "configMapKeyRef": {"name": "Write the name of a ConfigMap.", "key": "Write a key of the ConfigMap."},
    "fieldRef": {"fieldPath": "Write a field of the pod, such as status.podIP."},
}
REQUIRED_OF_VARIABLES = {
    "secretRef": {"name": "Write the name of a Secret."},
    "configMapRef": {"name": "Write the name of a ConfigMap."},
}


def raise_problems(problems: Iterator[Problem]) -> None:
    """Raise an error if there are any problems.

    Raises:
        InputError: The first problem in full, and the paths of the others.
    """
    listed = list(problems)
    if not listed:
        return
    first, *rest = listed
    also = ", ".join(each.path for each in rest[:MAX_OTHER_PATHS])
    more = f" and {len(rest) - MAX_OTHER_PATHS} more" if len(rest) > MAX_OTHER_PATHS else ""
    raise InputError(
        f"{first.path} {first.message}", first.hint + (f"\nAlso wrong: {also}{more}." if rest else "")
    )


def template_problems(whole: dict[str, Any]) -> Iterator[Problem]:
    """Yield the problems of a template: wrong kinds of values, misspelled fields, bad names and metadata."""
    yield from schema.type_problems(whole["spec"], "PodSpec", "spec")
    metadata = whole["metadata"]
    yield from _label_problems(metadata.get("labels", {}), "metadata.labels")
    yield from _annotation_problems(metadata.get("annotations", {}))
    for kind in ("containers", "initContainers", "volumes"):
        for index, item in enumerate(whole["spec"].get(kind, [])):
            if str(item["name"]).startswith(RESERVED_PREFIX):
                yield Problem(
                    f"spec.{kind}[{index}].name",
                    f"{item['name']!r} is reserved.",
                    f"Names that begin with {RESERVED_PREFIX} are reserved for podtask. Choose another name.",
                )


def pod_problems(
    spec: dict[str, Any], primary: str = "", flags: Mapping[str, str] = NO_FLAGS
) -> Iterator[Problem]:
    """Yield the contradictions in a complete pod spec whose values have the right kinds.

    Args:
        spec: Spec of the pod.
        primary: Name of its primary container.
        flags: Maps a resource to the flag that set the primary container's request for it.
    """
    volumes = spec.get("volumes", [])
    yield from _name_problems(volumes, "spec.volumes", {})
    for index, volume in enumerate(volumes):
        yield from _source_problems(volume, f"spec.volumes[{index}]")
        yield from _size_problems(volume, f"spec.volumes[{index}]")
        yield from _required_problems(volume, f"spec.volumes[{index}]", REQUIRED_OF_VOLUME)
    mountable = {volume["name"] for volume in volumes}
    seen: dict[str, str] = {}
    for kind in ("initContainers", "containers"):
        containers = spec.get(kind, [])
        yield from _name_problems(containers, f"spec.{kind}", seen)
        for index, container in enumerate(containers):
            path = f"spec.{kind}[{index}]"
            if not container.get("image"):
                yield Problem(
                    f"{path}.image",
                    f"of container {container['name']!r} is missing.",
                    "Give it an image: only the primary container has a default.",
                )
            yield from _port_problems(container.get("ports", []), f"{path}.ports")
            yield from _mount_problems(container.get("volumeMounts", []), f"{path}.volumeMounts", mountable)
            yield from _variable_problems(container.get("env", []), f"{path}.env")
            for source, each in enumerate(container.get("envFrom", [])):
                yield from _required_problems(each, f"{path}.envFrom[{source}]", REQUIRED_OF_VARIABLES)
            known = flags if container["name"] == primary else NO_FLAGS
            yield from _resource_problems(container.get("resources", {}), f"{path}.resources", known)
    yield from _label_problems(spec.get("nodeSelector", {}), "spec.nodeSelector")
    yield from _toleration_problems(spec.get("tolerations", []))


def _name_problems(items: list[dict[str, Any]], path: str, seen: dict[str, str]) -> Iterator[Problem]:
    for index, item in enumerate(items):
        name, name_path = item["name"], f"{path}[{index}].name"
        if not OBJECT_NAME.fullmatch(name):
            yield Problem(name_path, f"{name!r} is not a valid name.", NAME_RULE)
        if name in seen:
            yield Problem(name_path, f"{name!r} is also the name of {seen[name]}.", "Rename one of them.")
        seen.setdefault(name, f"{path}[{index}]")


def _source_problems(volume: dict[str, Any], path: str) -> Iterator[Problem]:
    sources = [key for key in volume if key != "name"]
    if len(sources) > 1:
        yield Problem(
            path,
            f"({volume['name']}) has {len(sources)} sources: {', '.join(sources)}.",
            "Keep one, and make another volume for the other.",
        )


def _size_problems(volume: dict[str, Any], path: str) -> Iterator[Problem]:
    limit = volume.get("emptyDir", {}).get("sizeLimit")
    if limit is not None:
        yield from _quantity_problems(limit, f"{path}.emptyDir.sizeLimit", BYTES)
    claim = "ephemeral.volumeClaimTemplate.spec.resources"
    resources = volume
    for key in claim.split("."):
        resources = resources.get(key, {})
    yield from _resource_problems(resources, f"{path}.{claim}")


def _quantity_problems(value: Any, path: str, resource: str) -> Iterator[Problem]:
    try:
        number = to_decimal(value, resource)
    except InputError as error:
        yield Problem(path, f"is invalid: {error.message}", error.hint)
        return
    if "/" in resource and number % 1:  # an extended resource, such as a GPU
        yield Problem(
            path,
            f"is invalid: {value!r} is not a whole number. Did you mean {math.ceil(number)}?",
            "A container gets whole devices. A cluster may offer shares of a device under another name.",
        )


def odd_values(spec: dict[str, Any]) -> Iterator[Problem]:
    """Yield what the API server accepts and what probably means something else than intended."""
    yield from quantity_mistakes(spec)
    for index, volume in enumerate(spec.get("volumes", [])):
        if volume.keys() <= {"name"}:
            yield Problem(
                f"spec.volumes[{index}]", f"({volume['name']}) has no source: it is an emptyDir", ""
            )


def quantity_mistakes(spec: dict[str, Any]) -> Iterator[Problem]:
    """Yield the valid quantities of a pod spec that are surely a mistake, such as 8 bytes of memory."""
    found = [
        (f"spec.volumes[{index}].emptyDir.sizeLimit", BYTES, volume.get("emptyDir", {}).get("sizeLimit"))
        for index, volume in enumerate(spec.get("volumes", []))
    ]
    found += [
        (f"spec.{kind}[{index}].resources.{part}.{resource}", resource, value)
        for kind in ("initContainers", "containers")
        for index, container in enumerate(spec.get(kind, []))
        for part in ("requests", "limits")
        for resource, value in container.get("resources", {}).get(part, {}).items()
    ]
    for path, resource, value in found:
        mistake = find_mistake(resource, value)
        if mistake:
            yield Problem(path, f"is {mistake}", "")


def _variable_problems(env: list[dict[str, Any]], path: str) -> Iterator[Problem]:
    for index, entry in enumerate(env):
        try:
            parse_variable_name(entry["name"])
        except InputError as error:
            yield Problem(f"{path}[{index}].name", f"is invalid: {error.message}", error.hint)
        yield from _required_problems(
            entry.get("valueFrom", {}), f"{path}[{index}].valueFrom", REQUIRED_OF_VARIABLE
        )


def _required_problems(
    value: dict[str, Any], path: str, required: Mapping[str, Mapping[str, str]]
) -> Iterator[Problem]:
    """Yield the required fields that the source of a volume or a variable does not have."""
    for kind, fields in required.items():
        for name, hint in fields.items() if kind in value else ():
            if not value[kind].get(name):
                yield Problem(f"{path}.{kind}.{name}", "is missing.", hint)


def _port_problems(ports: list[dict[str, Any]], path: str) -> Iterator[Problem]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        item_path = f"{path}[{index}]"
        if "containerPort" not in port:
            yield Problem(f"{item_path}.containerPort", "is missing.", "Write the port number.")
            continue
        number, name = port["containerPort"], port.get("name")
        if not 1 <= number <= 65535:
            yield Problem(
                f"{item_path}.containerPort", f"{number} is not a valid port.", "Use a port from 1 to 65535."
            )
        if name in names:
            yield Problem(f"{item_path}.name", f"{name!r} is used twice.", "Rename one of them.")
        if name and not PORT_NAME.fullmatch(name):
            yield Problem(
                f"{item_path}.name",
                f"{name!r} is not a valid port name.",
                "Use at most 15 lower case letters, digits and dashes, with at least one letter.",
            )
        names |= {name} if name else set()


def _mount_problems(mounts: list[dict[str, Any]], path: str, volumes: set[str]) -> Iterator[Problem]:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        item_path = f"{path}[{index}]"
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if name not in volumes:
            known = ", ".join(sorted(volumes)) or "none"
            yield Problem(
                f"{item_path}.name",
                f"{name!r} is not a volume of the pod.",
                f"Add it to spec.volumes, which has: {known}.",
            )
        if not where:
            yield Problem(f"{item_path}.mountPath", "is missing.", "Write a path, such as /data.")
        elif where in paths:
            yield Problem(
                f"{item_path}.mountPath", f"{where} is used twice.", "Mount one of the volumes elsewhere."
            )
        paths.add(where)


def _toleration_problems(tolerations: list[dict[str, Any]]) -> Iterator[Problem]:
    for index, each in enumerate(tolerations):
        path, exists = f"spec.tolerations[{index}]", each.get("operator") == "Exists"
        if not each.get("key") and not exists:
            yield Problem(
                f"{path}.key",
                "is missing.",
                "Write the key of a taint, or tolerate all with operator Exists.",
            )
        elif exists and each.get("value"):
            yield Problem(
                f"{path}.value",
                "must be empty with operator Exists.",
                "Remove it, or use operator Equal.",
            )


def _resource_problems(
    resources: dict[str, Any], path: str, flags: Mapping[str, str] = NO_FLAGS
) -> Iterator[Problem]:
    invalid = [
        problem
        for part in ("requests", "limits")
        for key, value in resources.get(part, {}).items()
        for problem in _quantity_problems(value, f"{path}.{part}.{key}", key)
    ]
    yield from invalid
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for key in [] if invalid else [key for key in requests if key in limits]:
        if to_decimal(requests[key]) > to_decimal(limits[key]):
            # A value that a flag has set is not in the template: name the flag.
            request_path = flags.get(key, f"{path}.requests.{key}")
            yield Problem(
                request_path,
                f"requests {requests[key]} of {key}, which is over the limit of {limits[key]}.",
                f"Lower {request_path}, or raise {path}.limits.{key}.",
            )


def _is_valid_key(key: object) -> bool:
    prefix, slash, name = str(key).rpartition("/")
    return bool(LABEL_VALUE.fullmatch(name)) and (not slash or bool(LABEL_PREFIX.fullmatch(prefix)))


def _label_problems(labels: dict[str, Any], path: str) -> Iterator[Problem]:
    for key, value in labels.items():
        if not _is_valid_key(key):
            yield Problem(f"{path}: {key!r}", "is not a valid label key.", KEY_RULE)
        elif not isinstance(value, str):
            yield Problem(f"{path}.{key}", "is not text.", "Put the value in quotes.")
        elif value and not LABEL_VALUE.fullmatch(value):
            yield Problem(f"{path}.{key}", f"{value[:70]!r} is not a valid label value.", VALUE_RULE)


def _annotation_problems(annotations: dict[str, Any]) -> Iterator[Problem]:
    size = 0
    for key, value in annotations.items():
        if not _is_valid_key(str(key).lower()):
            yield Problem(f"metadata.annotations: {key!r}", "is not a valid annotation key.", KEY_RULE)
        elif not isinstance(value, str):
            yield Problem(f"metadata.annotations.{key}", "is not text.", "Put the value in quotes.")
        size += len(str(key).encode()) + len(str(value).encode())
    if size > MAX_ANNOTATIONS_BYTES:
        yield Problem(
            "metadata.annotations",
            f"have {size} bytes, more than the {MAX_ANNOTATIONS_BYTES} allowed.",
            "Move the larger ones to a ConfigMap.",
        )
