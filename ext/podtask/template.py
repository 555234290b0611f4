"""The pod template: what a user gives, as one wire-form (camelCase) dict. No I/O but reading YAML.

Model classes of the client library drop fields newer than themselves, and from version 37 on
reject valid input (``limits={"cpu": 1}``); so models are accepted at the edge and left there.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError

# Maps whose keys are the user's own and never names of fields.
FREE = {
    "labels", "annotations", "nodeSelector", "matchLabels", "limits", "requests",
    "volumeAttributes", "options", "overhead", "data", "stringData",
}  # fmt: skip

# https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec; one of
# them, or a part of a whole pod, must be there: a newer field may stand beside it.
KNOWN = {
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
    "spec",
    "metadata",
    "template",
}
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
# Fields whose wire form is not what their snake_case form gives.
IRREGULAR = {
    "hostIpc": "hostIPC", "hostPid": "hostPID", "hostIp": "hostIP", "downwardApi": "downwardAPI",
    "setHostnameAsFqdn": "setHostnameAsFQDN", "volumeId": "volumeID", "diskUri": "diskURI",
    "storagePolicyId": "storagePolicyID", "datasetUuid": "datasetUUID", "pdId": "pdID",
}  # fmt: skip


@dataclass(frozen=True)
class PodTemplate:
    """A pod to run cells in: Flyte's four fields, under the same names.

    Args:
        pod_spec: V1PodSpec, dict (wire form or snake_case) or None.
        primary_container_name: the container whose process is the cell.
        labels: labels of the pod.
        annotations: annotations of the pod.

    Raises:
        InputError: a field is not of its kind.

    Source: https://www.union.ai/docs/flyte/user-guide/task-configuration/pod-templates/
    """

    pod_spec: Any = None
    primary_container_name: str = "primary"
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.primary_container_name, str) or not self.primary_container_name:
            raise InputError("primary_container_name is empty.", "Name a container: primary, say.")
        spec = wire(self.pod_spec) if self.pod_spec is not None else {}
        _check_spec(spec)
        object.__setattr__(self, "pod_spec", spec)
        for name in ("labels", "annotations"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, Mapping):
                raise InputError(f"{name} of the pod template is no mapping.",
                                 f'Write {name}={{"key": "value"}}.')  # fmt: skip
            object.__setattr__(self, name, dict(given or {}))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True, default=str))

    @classmethod
    def of(cls, given: Any) -> PodTemplate:
        """Returns a template from anything that describes a pod.

        Args:
            given: a PodTemplate (also Flyte's), an object with ``.template`` (a form), a V1Pod,
                V1PodSpec or V1PodTemplate, a dict or YAML text of one, or a path to such a file.

        Raises:
            InputError: it describes no pod; says what it is.
        """
        if isinstance(given, cls):
            return given
        if hasattr(given, "primary_container_name"):  # a foreign template, Flyte's say
            fields = ("pod_spec", "primary_container_name", "labels", "annotations")
            fields_given: dict[str, Any] = {name: getattr(given, name, None) for name in fields}
            return cls(**fields_given)
        if hasattr(given, "template") and isinstance(given.template, cls):
            return given.template
        if isinstance(given, Path) or (isinstance(given, str) and "\n" not in given):
            return cls._of_file(Path(given))
        if isinstance(given, str):
            return cls._of_yaml(given, "the YAML text")
        found = wire(given)
        if not isinstance(found, dict):
            raise InputError(f"A {type(given).__name__} is no pod template.",
                             "Give a PodTemplate, a V1PodSpec, a dict or YAML of a Pod.")  # fmt: skip
        return cls._of_dict(found, f"the {type(given).__name__}")

    @classmethod
    def _of_file(cls, path: Path) -> PodTemplate:
        try:
            text = path.expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"Cannot read the pod template {path}: {error}",
                             "Name a variable of this notebook, or a YAML file.") from None  # fmt: skip
        return cls._of_yaml(text, str(path))

    @classmethod
    def _of_yaml(cls, text: str, where: str) -> PodTemplate:
        import yaml

        try:
            documents = [each for each in yaml.safe_load_all(text) if each is not None]
        except yaml.YAMLError as error:
            say = " ".join(str(error).split())[:200]
            raise InputError(f"{where} is no YAML: {say}", "Mend the file and run again.") from None
        if len(documents) != 1:
            raise InputError(f"{where} has {len(documents)} documents, not one.",
                             "Keep the pod, or the pod template, alone in it.")  # fmt: skip
        if not isinstance(documents[0], dict):
            raise InputError(f"{where} is no pod spec but a {type(documents[0]).__name__}.",
                             "Give the YAML of a Pod, a PodSpec or a PodTemplate.")  # fmt: skip
        return cls._of_dict(wire(documents[0]), where)

    @classmethod
    def _of_dict(cls, found: dict[str, Any], where: str) -> PodTemplate:
        if found.get("kind") not in (None, "Pod", "PodTemplate"):
            raise InputError(f"{where} is a {found['kind']}, not a pod.",
                             "Give a Pod, a PodSpec or a PodTemplate.")  # fmt: skip
        if isinstance(found.get("template"), dict):  # core/v1 PodTemplate
            found = found["template"]
        meta = found.get("metadata") or {}
        spec = found.get("spec", None if meta or found.get("kind") else found)
        if spec is not None and not isinstance(spec, dict):
            raise InputError(f"{where} is no pod spec.", "Its spec must be a mapping.")
        annotations = dict(meta.get("annotations") or {})
        name = annotations.get(DEFAULT_CONTAINER, "primary")
        return cls(spec, name, meta.get("labels"), annotations)

    def replace(self, **fields: Any) -> PodTemplate:
        """Returns a copy with other fields."""
        return dataclasses.replace(self, **fields)

    def to_dict(self) -> dict[str, Any]:
        """Returns a new core/v1 ``template`` mapping: metadata and spec, in wire form."""
        meta = {name: dict(getattr(self, name)) for name in ("labels", "annotations")}
        if self.primary_container_name != "primary":
            meta["annotations"].setdefault(DEFAULT_CONTAINER, self.primary_container_name)
        return {
            "metadata": {name: value for name, value in meta.items() if value},
            "spec": copy.deepcopy(self.pod_spec),
        }

    def to_yaml(self) -> str:
        """Returns the YAML of :meth:`to_dict`."""
        import yaml

        return str(yaml.safe_dump(self.to_dict(), sort_keys=False))


def wire(given: Any) -> Any:
    """Returns a value in the form the API takes: models become camelCase dicts, ``None`` goes.

    Works for the models of every client since 31 by their shape, without importing the client.
    """
    if isinstance(given, Mapping):
        return _wire_mapping(given)
    if isinstance(given, (list, tuple)):
        return [wire(item) for item in given]
    attributes = getattr(type(given), "attribute_map", None)
    if isinstance(attributes, dict):  # client <= 36
        pairs = ((wire_name, getattr(given, name)) for name, wire_name in attributes.items())
        return _wire_mapping({key: value for key, value in pairs if value is not None})
    if hasattr(type(given), "model_fields"):  # client >= 37, pydantic
        fields = type(given).model_fields
        pairs = ((field.alias or name, getattr(given, name)) for name, field in fields.items())
        return _wire_mapping({key: value for key, value in pairs if value is not None})
    return given


def _wire_mapping(given: Mapping[Any, Any]) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        name = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), str(key))
        name = IRREGULAR.get(name, name) if "_" in str(key) else name
        if value is None:
            continue
        found[name] = dict(value) if name in FREE and isinstance(value, Mapping) else wire(value)
    return found


def _check_spec(spec: Any) -> None:
    if not isinstance(spec, dict):
        raise InputError(f"pod_spec is a {type(spec).__name__}, not a pod spec.",
                         "Give a V1PodSpec, or a dict with containers.")  # fmt: skip
    for kind in ("containers", "initContainers", "volumes"):
        items = spec.get(kind, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise InputError(f"pod_spec.{kind} is no list of mappings.", "See kubectl explain pod.spec.")  # fmt: skip
        for place, item in enumerate(items):
            env = item.get("env", [])
            if not isinstance(env, list) or not all(
                isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in env
            ):
                raise InputError(f"pod_spec.{kind}[{place}].env is no list of names with values.",
                                 "Write [{'name': 'KEY', 'value': 'value'}].")  # fmt: skip
            if not isinstance(item.get("name"), str) or not item["name"]:
                raise InputError(f"pod_spec.{kind}[{place}] has no name.", "Give it one.")
    if spec and not KNOWN & set(spec):
        raise InputError(f"This is no pod spec: it has {', '.join(map(repr, list(spec)[:3]))}.",
                         "A pod spec has containers, volumes, nodeSelector and the like.")  # fmt: skip
    unknown = {"spec", "metadata", "template"} & set(spec)
    if unknown:
        raise InputError(f"pod_spec has a field {unknown.pop()!r}: it is a whole pod, not its spec.",
                         "Use PodTemplate.of(...), or give what stands under spec.")  # fmt: skip
