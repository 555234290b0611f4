"""The template being edited: one mapping in wire form, which the form's inputs change in place. Pure."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from podtask.template.template import DEFAULT_CONTAINER, PodTemplate

from .field_refs import Item, Key, Root, field_ref

Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the C version is ten times as fast


class Draft:
    """The template that a form shows. Fields that the form does not know are kept.

    Args:
        template: Template to start with.
    """

    def __init__(self, template: PodTemplate) -> None:
        self.primary = ""
        self.data: dict[str, Any] = {}
        self.load(template)
        self.spec = Key(Root(self.data), "spec", keep_empty=True)
        self.metadata = Key(Root(self.data), "metadata", keep_empty=True)
        self.container = PrimaryContainer(self)

    def load(self, template: PodTemplate) -> None:
        """Replace the draft by a template."""
        self.primary = template.primary_container_name
        self.data.update(
            metadata={"labels": dict(template.labels or {}), "annotations": dict(template.annotations or {})},
            spec=copy.deepcopy(template.pod_spec),
        )

    def field(self, *names: str) -> Key:
        """Return a reference to a field of the pod spec."""
        return field_ref(self.spec, *names)

    def template(self) -> PodTemplate:
        """Return the draft as a template.

        Raises:
            InputError: The draft is not a valid template.
        """
        metadata = self.data["metadata"]
        return PodTemplate(
            copy.deepcopy(self.data["spec"]),
            self.primary,
            metadata.get("labels"),
            metadata.get("annotations"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as :meth:`PodTemplate.to_dict`, also for an invalid draft."""
        metadata = {name: dict(value) for name, value in self.data["metadata"].items() if value}
        if self.primary != "primary":
            metadata.setdefault("annotations", {})[DEFAULT_CONTAINER] = self.primary
        return {"metadata": metadata, "spec": self.data["spec"]}

    def to_yaml(self) -> str:
        """Return :meth:`to_dict` as YAML."""
        # The copy contains no object twice, so the YAML has no anchors.
        return str(yaml.dump(copy.deepcopy(self.to_dict()), Dumper=Dumper, sort_keys=False))

    def rename_primary(self, name: str) -> None:
        """Rename the primary container, in the template and in the pod spec."""
        container = self.container.get()
        self.primary = name
        if container is not None:
            container["name"] = name

    def add_required_fields(self) -> None:
        """Add the primary container to a spec without containers, because the API requires one.

        An empty spec stays empty: a template may consist of labels alone.
        """
        if self.data["spec"] and not self.data["spec"].get("containers"):
            self.add_primary_container()

    def add_primary_container(self) -> None:
        """Add the primary container if the spec has no containers yet."""
        spec = self.data["spec"]
        if not spec.get("containers"):
            other_fields = {key: value for key, value in spec.items() if key != "containers"}
            spec.clear()
            spec.update(containers=[{"name": self.primary}], **other_fields)


class PrimaryContainer:
    """A reference to the primary container; it is created when a field of it is set."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        # While a user types a name, another container may have the same name for a moment.
        self._last: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        """Path of the container, or the path it will have."""
        container = self.get()
        items = self._draft.field("containers")
        return Item(items, {} if container is None else container).path

    def get(self) -> dict[str, Any] | None:
        """Return the container, or None if the spec does not list it."""
        containers = self._draft.field("containers").get()
        candidates = [
            each
            for each in (containers if isinstance(containers, list) else [])
            if isinstance(each, dict) and each.get("name") == self._draft.primary
        ]
        if not any(each is self._last for each in candidates):
            self._last = candidates[0] if candidates else None
        return self._last

    def set(self, value: dict[str, Any]) -> None:
        """Append a container to the spec as the primary one."""
        value["name"] = self._draft.primary
        containers = self._draft.field("containers")
        containers.set([*(containers.get() or []), value])
        self._last = value
