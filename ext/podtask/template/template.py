"""The pod template: what a user gives, as one wire-form (camelCase) dict. No I/O but reading YAML."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..formatting import call, card
from .card import spec_rows
from .safe_yaml import documents
from .schema import distance, fields
from .wire_form import wire

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
WHOLE = {"spec", "metadata", "template"}  # parts of a whole pod, not of its spec


@dataclass(frozen=True)
class PodTemplate:
    """A pod to run cells in: Flyte's four fields, under the same names.

    Args:
        pod_spec: V1PodSpec, dict (wire form or snake_case), YAML text of one, or None.
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
        given = self.pod_spec if self.pod_spec is not None else {}
        spec = wire(_yaml(given, "pod_spec") if isinstance(given, str) else given)
        _check_spec(spec)
        object.__setattr__(self, "pod_spec", spec)
        for name in ("labels", "annotations"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, Mapping):
                raise InputError(
                    f"{name} of the pod template is no mapping.", f'Write {name}={{"key": "value"}}.'
                )
            # Which container is the default follows from primary_container_name.
            kept = {key: value for key, value in (given or {}).items() if key != DEFAULT_CONTAINER}
            object.__setattr__(self, name, kept)

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True, default=str))

    @classmethod
    def of(cls, given: Any) -> PodTemplate:
        """Return a template from anything that describes a pod.

        Args:
            given: a PodTemplate (also Flyte's), an object with ``.template`` (a form), a V1Pod,
                V1PodSpec or V1PodTemplate, a dict or YAML text of one, or a path to such a file.

        Raises:
            InputError: it describes no pod; says what it is.
        """
        if isinstance(given, cls):
            return given
        if hasattr(given, "primary_container_name"):  # a foreign template, Flyte's say
            taken = {field.name: getattr(given, field.name, None) for field in dataclasses.fields(cls)}
            return cls(**{name: value for name, value in taken.items() if value is not None})
        if hasattr(given, "template") and isinstance(given.template, cls):
            return given.template
        if isinstance(given, Path) or (isinstance(given, str) and "\n" not in given):
            return cls._of_file(Path(given))
        if isinstance(given, str):
            return cls._of_dict(wire(_yaml(given, "the YAML text")), "the YAML text")
        found = wire(given)
        if not isinstance(found, dict):
            raise InputError(
                f"A {type(given).__name__} is no pod template.",
                "Give a PodTemplate, a V1PodSpec, a dict or YAML of a Pod.",
            )
        return cls._of_dict(found, f"the {type(given).__name__}")

    @classmethod
    def _of_file(cls, path: Path) -> PodTemplate:
        try:
            text = path.expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"Cannot read the pod template {path}: {error}",
                "Name a variable of this notebook, or a YAML file.",
            ) from None
        return cls._of_dict(wire(_yaml(text, str(path))), str(path))

    @classmethod
    def _of_dict(cls, found: dict[str, Any], where: str) -> PodTemplate:
        if found.get("kind") not in (None, "Pod", "PodTemplate"):
            raise InputError(
                f"{where} is a {found['kind']}, not a pod.", "Give a Pod, a PodSpec or a PodTemplate."
            )
        if isinstance(found.get("template"), dict):  # core/v1 PodTemplate
            found = found["template"]
        meta = found.get("metadata") or {}
        spec = found.get("spec", None if meta or found.get("kind") else found)
        if spec is not None and not isinstance(spec, dict):
            raise InputError(f"{where} is no pod spec.", "Its spec must be a mapping.")
        annotations = dict(meta.get("annotations") or {})
        name = annotations.get(DEFAULT_CONTAINER, "primary")
        return cls(spec, name, meta.get("labels"), annotations)

    def replace(self, **changes: Any) -> PodTemplate:
        """Return a copy with other fields."""
        return dataclasses.replace(self, **changes)

    def with_(self, *presets: Callable[[PodTemplate], PodTemplate]) -> PodTemplate:
        """Return a copy with presets applied in their order; see :mod:`podtask.presets`."""
        made = self
        for preset in presets:
            made = preset(made)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return a new core/v1 ``template`` mapping: metadata and spec, in wire form."""
        meta = {name: dict(getattr(self, name)) for name in ("labels", "annotations")}
        if self.primary_container_name != "primary":
            meta["annotations"][DEFAULT_CONTAINER] = self.primary_container_name
        return {
            "metadata": {name: value for name, value in meta.items() if value},
            "spec": copy.deepcopy(self.pod_spec),
        }

    def to_yaml(self) -> str:
        """Return the YAML of :meth:`to_dict`."""
        import yaml

        found = {name: part for name, part in self.to_dict().items() if part or name == "spec"}
        return str(yaml.safe_dump(found, sort_keys=False))

    def to_python(self) -> str:
        """Return an expression that makes an equal template; ``PodTemplate`` is its only name."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.primary_container_name == "primary":
            del given["primary_container_name"]
        return call("PodTemplate", {name: value for name, value in given.items() if value})

    def to_flyte(self) -> str:
        """Return a program that makes the same template for Flyte, a ``flytekit.PodTemplate``."""
        from .flyte import source

        return source(self.pod_spec, self.primary_container_name, self.labels or {}, self.annotations or {})

    def _repr_html_(self) -> str:
        primary, labels, annotations = (
            self.primary_container_name,
            self.labels or {},
            self.annotations or {},
        )
        rows = spec_rows(self.pod_spec, primary, labels, annotations)
        return card("Pod template", rows, {"YAML": self.to_yaml(), "Python": self.to_python()})


def primary_container(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the primary container of a spec, as it is in there; appends one where there is none.

    Raises:
        InputError: there is none, but one with nearly its name.
    """
    containers = spec.setdefault("containers", [])
    for container in containers:
        if container["name"] == name:
            found: dict[str, Any] = container
            return found
    others = [container["name"] for container in containers]
    for other in others:
        if distance(other, name) <= 2:
            raise InputError(
                f"No container is named {name!r}, but there is {', '.join(map(repr, others))}.",
                f"Set primary_container_name={other!r}, or rename the container.",
            )
    containers.append({"name": name})
    return containers[-1]  # type: ignore[no-any-return]


def _yaml(text: str, where: str) -> dict[str, Any]:
    try:
        found = documents(text)
    except ValueError as error:
        raise InputError(f"{where} is no YAML: {error}", "Mend it and run again.") from None
    if len(found) != 1:
        raise InputError(
            f"{where} has {len(found)} documents, not one.", "Keep the pod, or the pod template, alone in it."
        )
    if not isinstance(found[0], dict):
        raise InputError(
            f"{where} is no pod spec but a {type(found[0]).__name__}.",
            "Give YAML of a Pod, a PodSpec or a PodTemplate; PodTemplate.of reads a file.",
        )
    made: dict[str, Any] = found[0]
    return made


def _check_spec(spec: Any) -> None:
    if not isinstance(spec, dict):
        raise InputError(
            f"pod_spec is a {type(spec).__name__}, not a pod spec.",
            "Give a V1PodSpec, or a dict with containers.",
        )
    for kind in ("containers", "initContainers", "volumes"):
        items = spec.get(kind, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise InputError(f"pod_spec.{kind} is no list of mappings.", "See kubectl explain pod.spec.")
        for place, item in enumerate(items):
            env = item.get("env", [])
            if not isinstance(env, list) or not all(
                isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in env
            ):
                raise InputError(
                    f"pod_spec.{kind}[{place}].env is no list of names with values.",
                    "Write [{'name': 'KEY', 'value': 'value'}].",
                )
            if not isinstance(item.get("name"), str) or not item["name"]:
                raise InputError(f"pod_spec.{kind}[{place}] has no name.", "Give it one.")
    if spec and not {*fields("PodSpec"), *WHOLE} & set(spec):
        raise InputError(
            f"This is no pod spec: it has {', '.join(map(repr, list(spec)[:3]))}.",
            "A pod spec has containers, volumes, nodeSelector and the like.",
        )
    unknown = WHOLE & set(spec)
    if unknown:
        raise InputError(
            f"pod_spec has a field {unknown.pop()!r}: it is a whole pod, not its spec.",
            "Use PodTemplate.of(...), or give what stands under spec.",
        )
