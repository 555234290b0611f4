"""The pod template: the user's pod as one dict in wire form (camelCase). No I/O except reading YAML."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..config.option_types import parse_namespace
from ..errors import InputError
from ..formatting import call_source, html_card
from ..runner.safe_text import safe_text
from .card import spec_rows
from .pod_document import DEFAULT_CONTAINER, PRIMARY, check_not_a_chart, read_pod_document
from .safe_yaml import load_documents
from .schema import edit_distance, type_fields, with_kubectl_types
from .wire_form import free_map, to_wire_form
from .yaml_writer import dump_yaml

FLYTE_FIELDS = ("pod_spec", "primary_container_name", "labels", "annotations")
UNRENDERED = re.compile(r"\{\{|\{%")  # Jinja, Ansible, cookiecutter
POD_FIELDS = {"spec", "metadata", "template"}  # fields of a whole pod, not of its spec


@dataclass(frozen=True)
class PodTemplate:
    """A pod to run cells in, with the four fields of Flyte's PodTemplate.

    Args:
        pod_spec: V1PodSpec, dict (camelCase or snake_case), YAML text of a pod spec, or None.
        primary_container_name: Name of the container that runs the cell. None means the container that the
            annotation ``kubectl.kubernetes.io/default-container`` names, or "primary".
        labels: Labels of the pod.
        annotations: Annotations of the pod.
        namespace: Namespace of the pod; None for the one that the options or the kubeconfig choose.

    Raises:
        InputError: A field has a value of the wrong kind.

    Attributes:
        notices: Lines for the user about the document that the template was read from; not a field.

    Source: https://www.union.ai/docs/flyte/user-guide/task-configuration/pod-templates/
    """

    notices: ClassVar[tuple[str, ...]] = ()

    pod_spec: Any = None
    primary_container_name: str = None  # type: ignore[assignment]  # a name once the template is made
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    namespace: str | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        given = self.pod_spec if self.pod_spec is not None else {}
        given = to_wire_form(_yaml(given, "pod_spec") if isinstance(given, str) else given)
        spec = with_kubectl_types(given, "PodSpec")
        _check_spec(spec)
        object.__setattr__(self, "pod_spec", spec)
        for name in ("labels", "annotations"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, Mapping):
                raise InputError(
                    f"{name} of the pod template must be a mapping.", f'Write {name}={{"key": "value"}}.'
                )
            object.__setattr__(self, name, free_map(given or {}, name))
        # The annotation is derived from primary_container_name, which takes precedence over it.
        annotations = dict(self.annotations or {})
        annotated = annotations.pop(DEFAULT_CONTAINER, None)
        object.__setattr__(self, "annotations", annotations)
        if self.primary_container_name is None:
            object.__setattr__(self, "primary_container_name", annotated or PRIMARY)
        if not isinstance(self.primary_container_name, str) or not self.primary_container_name:
            raise InputError("primary_container_name is empty.", "Name a container, such as primary.")
        if self.namespace is not None:
            object.__setattr__(self, "namespace", parse_namespace(self.namespace))

    def __repr__(self) -> str:
        """Return the fields without credentials in addresses, because a notebook keeps this text."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        if self.namespace is None:
            del values["namespace"]
        fields = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return safe_text(f"PodTemplate({fields})")

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True, default=str))

    @classmethod
    def of(cls, given: Any) -> PodTemplate:
        """Return a template from any object that describes a pod.

        Args:
            given: A PodTemplate (ours or Flyte's), a form (any object with a ``.template``), a V1Pod,
                V1PodSpec or V1PodTemplate, a dict or YAML text of one of these, or the path of a
                YAML file.

        Raises:
            InputError: The object does not describe a pod.
        """
        if isinstance(given, cls):
            return given
        if hasattr(given, "primary_container_name"):  # another library's template, such as Flyte's
            taken = {name: getattr(given, name, None) for name in FLYTE_FIELDS}
            return cls(**{name: value for name, value in taken.items() if value is not None})
        if hasattr(given, "template") and isinstance(given.template, cls):
            return given.template
        if isinstance(given, Path) or (isinstance(given, str) and "\n" not in given):
            return cls._of_file(Path(given))
        if isinstance(given, str):
            return cls._of_dict(to_wire_form(_yaml(given, "the YAML text")), "the YAML text")
        wire_form = to_wire_form(given)
        if not isinstance(wire_form, dict):
            raise InputError(
                f"Expected a pod template, got {type(given).__name__}.",
                "Give a PodTemplate, a V1PodSpec, or a dict or YAML of a Pod.",
            )
        return cls._of_dict(wire_form, f"the {type(given).__name__}")

    @classmethod
    def _of_file(cls, path: Path) -> PodTemplate:
        try:
            text = path.expanduser().read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"Cannot read the pod template {path}: {error}",
                "Give the name of a variable in this notebook, or the path of a YAML file.",
            ) from None
        return cls._of_dict(to_wire_form(_yaml(text, str(path))), str(path))

    @classmethod
    def _of_dict(cls, document: dict[str, Any], where: str) -> PodTemplate:
        read = read_pod_document(document, where)
        made = cls(read.spec, read.primary, read.labels, read.annotations, namespace=read.namespace)  # type: ignore[arg-type]
        return _with_notices(made, read.notices)

    def replace(self, **changes: Any) -> PodTemplate:
        """Return a copy with the given fields changed."""
        if DEFAULT_CONTAINER in (changes.get("annotations") or {}):
            changes.setdefault("primary_container_name", None)
        return _with_notices(dataclasses.replace(self, **changes), self.notices)

    def with_(self, *presets: Callable[[PodTemplate], PodTemplate]) -> PodTemplate:
        """Return a copy with presets applied in order; see :mod:`podtask.presets`."""
        made = self
        for preset in presets:
            made = preset(made)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the template as a new dict with metadata and spec, as in a core/v1 PodTemplate.

        An annotation names the primary container, so that whoever reads the dict runs the cell in the same one.
        """
        annotations = {**(self.annotations or {}), DEFAULT_CONTAINER: self.primary_container_name}
        meta = {"namespace": self.namespace, "labels": dict(self.labels or {}), "annotations": annotations}
        return {
            "metadata": {name: value for name, value in meta.items() if value},
            "spec": copy.deepcopy(self.pod_spec),
        }

    def to_yaml(self) -> str:
        """Return the YAML of :meth:`to_dict`."""
        return dump_yaml(self.to_dict())

    def to_python(self) -> str:
        """Return a Python expression that creates an equal template; it needs only ``PodTemplate``."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.primary_container_name == PRIMARY:
            del given["primary_container_name"]
        return call_source("PodTemplate", {name: value for name, value in given.items() if value})

    def to_flyte(self) -> str:
        """Return a Python program that creates the same template as a ``flytekit.PodTemplate``."""
        # Start-up cost: loaded when it is first needed.
        from .flyte import flyte_source

        return flyte_source(
            self.pod_spec,
            self.primary_container_name,
            self.labels or {},
            self.annotations or {},
            self.namespace or "",
        )

    def _repr_html_(self) -> str:
        primary, labels, annotations = (
            self.primary_container_name,
            self.labels or {},
            self.annotations or {},
        )
        rows = spec_rows(self.pod_spec, primary, labels, annotations)
        return html_card("Pod template", rows, {"YAML": self.to_yaml(), "Python": self.to_python()})


def _with_notices(template: PodTemplate, notices: tuple[str, ...]) -> PodTemplate:
    object.__setattr__(template, "notices", notices)
    return template


def primary_container(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the primary container of a spec, appending one if it is missing.

    Raises:
        InputError: It is missing, but another container has nearly the same name.
    """
    containers = spec.setdefault("containers", [])
    for container in containers:
        if container["name"] == name:
            primary: dict[str, Any] = container
            return primary
    others = [container["name"] for container in containers]
    for other in others:
        if edit_distance(other, name) <= 2:
            raise InputError(
                f"No container is named {name!r}, but there is {', '.join(map(repr, others))}.",
                f"Set primary_container_name={other!r} or --primary {other}, or rename the container.",
            )
    containers.append({"name": name})
    return containers[-1]  # type: ignore[no-any-return]


def _yaml(text: str, where: str) -> dict[str, Any]:
    check_not_a_chart(text, where)
    try:
        documents = load_documents(text)
    except ValueError as error:
        hint = "Fix it and run again."
        if UNRENDERED.search(text):
            hint = "It has {{ }} or {% %}: if it is a template of another program, render it first."
        raise InputError(f"{where} is not valid YAML: {error}", hint) from None
    if len(documents) != 1:
        raise InputError(
            f"{where} has {len(documents)} documents, expected one.",
            "Keep only the pod or the pod template in it.",
        )
    if not isinstance(documents[0], dict):
        raise InputError(
            f"{where} must be a mapping, got {type(documents[0]).__name__}.",
            "Give YAML of a Pod, a PodSpec or a PodTemplate. PodTemplate.of reads a file.",
        )
    document: dict[str, Any] = documents[0]
    return document


def _check_spec(spec: Any) -> None:
    if not isinstance(spec, dict):
        raise InputError(
            f"pod_spec must be a pod spec, got {type(spec).__name__}.",
            "Give a V1PodSpec, or a dict with containers.",
        )
    for kind in ("containers", "initContainers", "volumes"):
        items = spec.get(kind, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise InputError(f"pod_spec.{kind} must be a list of mappings.", "See kubectl explain pod.spec.")
        for index, item in enumerate(items):
            env = item.get("env", [])
            if not isinstance(env, list) or not all(
                isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in env
            ):
                raise InputError(
                    f"pod_spec.{kind}[{index}].env must be a list of names with values.",
                    "Write [{'name': 'KEY', 'value': 'value'}].",
                )
            if not isinstance(item.get("name"), str) or not item["name"]:
                raise InputError(f"pod_spec.{kind}[{index}] has no name.", "Give it one.")
    if spec and not {*type_fields("PodSpec"), *POD_FIELDS} & set(spec):
        raise InputError(
            f"This is not a pod spec: it has {', '.join(map(repr, list(spec)[:3]))}.",
            "A pod spec has fields such as containers, volumes and nodeSelector.",
        )
    unknown = POD_FIELDS & set(spec)
    if unknown:
        raise InputError(
            f"pod_spec has the field {unknown.pop()!r}: this is a whole pod, not a pod spec.",
            "Use PodTemplate.of(...), or give only the value of spec.",
        )
