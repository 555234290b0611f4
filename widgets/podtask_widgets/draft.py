"""A template under work: one mapping in wire form, which a form's fields edit in place. Pure."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from podtask.template.template import DEFAULT_CONTAINER, PodTemplate

from .field_refs import Item, Key, Root, at

Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, where it is built


class Draft:
    """What a form shows. Fields that no part of the form knows stay as they are.

    Args:
        template: where it begins.
    """

    def __init__(self, template: PodTemplate) -> None:
        self.primary = ""
        self.whole: dict[str, Any] = {}
        self.become(template)
        self.spec = Key(Root(self.whole), "spec", stays=True)
        self.metadata = Key(Root(self.whole), "metadata", stays=True)
        self.container = Primary(self)

    def become(self, template: PodTemplate) -> None:
        """Takes a template's place."""
        self.primary = template.primary_container_name
        self.whole.update(
            metadata={"labels": dict(template.labels or {}), "annotations": dict(template.annotations or {})},
            spec=copy.deepcopy(template.pod_spec),
        )

    def field(self, *names: str) -> Key:
        """Returns the place of a field of the pod's spec."""
        return at(self.spec, *names)

    def template(self) -> PodTemplate:
        """Returns the template that it is.

        Raises:
            InputError: it is none.
        """
        metadata = self.whole["metadata"]
        return PodTemplate(
            copy.deepcopy(self.whole["spec"]),
            self.primary,
            metadata.get("labels"),
            metadata.get("annotations"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns what :meth:`PodTemplate.to_dict` would, also where it is no template yet."""
        metadata = {name: dict(value) for name, value in self.whole["metadata"].items() if value}
        if self.primary != "primary":
            metadata.setdefault("annotations", {})[DEFAULT_CONTAINER] = self.primary
        return {"metadata": metadata, "spec": self.whole["spec"]}

    def to_yaml(self) -> str:
        """Returns the YAML of :meth:`to_dict`."""
        # A copy has no object twice, so that the YAML has no anchors.
        return str(yaml.dump(copy.deepcopy(self.to_dict()), Dumper=Dumper, sort_keys=False))

    def rename(self, name: str) -> None:
        """Gives the primary container another name, where it is listed as well as in the spec."""
        container = self.container.get()
        self.primary = name
        if container is not None:
            container["name"] = name

    def settle(self) -> None:
        """Makes it a pod: what was put into an empty spec brings the primary container along.

        The API requires ``containers``; a template of labels alone has no spec.
        """
        if self.whole["spec"] and not self.whole["spec"].get("containers"):
            self.bring_primary()

    def bring_primary(self) -> None:
        """Lists the primary container, first, where no container is listed yet."""
        spec = self.whole["spec"]
        if not spec.get("containers"):
            rest = {key: value for key, value in spec.items() if key != "containers"}
            spec.clear()
            spec.update(containers=[{"name": self.primary}], **rest)


class Primary:
    """The place of the primary container; it is made when something is put into it."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._last: dict[str, Any] | None = None  # while a name is typed, another may have the same

    @property
    def path(self) -> str:
        """Its own, or that of the container to come."""
        found = self.get()
        items = self._draft.field("containers")
        return Item(items, {} if found is None else found).path

    def get(self) -> dict[str, Any] | None:
        """Returns the container of that name."""
        listed = self._draft.field("containers").get()
        named = [
            each
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, dict) and each.get("name") == self._draft.primary
        ]
        if not any(each is self._last for each in named):
            self._last = named[0] if named else None
        return self._last

    def set(self, value: dict[str, Any]) -> None:
        """Puts a container there, last."""
        value["name"] = self._draft.primary
        containers = self._draft.field("containers")
        containers.set([*(containers.get() or []), value])
        self._last = value
