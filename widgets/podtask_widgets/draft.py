"""The template being edited: one mapping in wire form, which the form's inputs change in place. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from podtask.template.pod_document import DEFAULT_CONTAINER
from podtask.template.template import PodTemplate
from podtask.template.yaml_writer import dump_yaml

from .field_refs import Item, Key, Root, field_ref

# Annotations that end with the name of a container.
ANNOTATION_PREFIXES = (
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
)


class Draft:
    """The template that a form shows. Fields that the form does not know are kept.

    Args:
        template: Template to start with.

    Attributes:
        notices: Lines for the user about the document that the template was read from.
        additions: What shortcuts have added, by the name of the shortcut.
    """

    def __init__(self, template: PodTemplate) -> None:
        self.primary = ""
        self._namespace: str | None = None
        self.notices: tuple[str, ...] = ()
        self._followers: dict[int, Followers] = {}  # by the identity of the container
        self._mounts: dict[int, VolumeMounts] = {}  # by the identity of the volume
        self.additions: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.load(template)
        self.spec = Key(Root(self.data), "spec", keep_empty=True)
        self.metadata = Key(Root(self.data), "metadata", keep_empty=True)
        self.container = PrimaryContainer(self)

    @property
    def namespace(self) -> str | None:
        """The namespace that the template names."""
        return self._namespace

    def load(self, template: PodTemplate) -> None:
        """Replace the draft by a template."""
        self.primary = template.primary_container_name
        self._namespace = template.namespace
        self.notices = template.notices
        self._followers.clear()
        self._mounts.clear()
        self.additions.clear()
        self.data.update(
            metadata={"labels": dict(template.labels or {}), "annotations": dict(template.annotations or {})},
            spec=copy.deepcopy(template.pod_spec),
        )

    def state(self) -> DraftState:
        """Return a copy of the whole draft."""
        return DraftState(
            *copy.deepcopy((self.primary, self._namespace, self.data, self.additions)), self.notices
        )

    def restore(self, state: DraftState) -> None:
        """Replace the draft by an earlier state of it."""
        self._followers.clear()
        self._mounts.clear()
        self.primary, self._namespace, data, additions = copy.deepcopy(
            (state.primary, state.namespace, state.data, state.additions)
        )
        self.notices = state.notices
        self.data.update(data)
        self.additions.clear()
        self.additions.update(additions)

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
            namespace=self._namespace,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as :meth:`PodTemplate.to_dict`, also for an invalid draft."""
        given = self.data["metadata"]
        metadata = {
            "namespace": self._namespace,
            "labels": dict(given.get("labels") or {}),
            "annotations": {**(given.get("annotations") or {}), DEFAULT_CONTAINER: self.primary},
        }
        return {
            "metadata": {name: value for name, value in metadata.items() if value},
            "spec": self.data["spec"],
        }

    def to_yaml(self) -> str:
        """Return :meth:`to_dict` as YAML."""
        return dump_yaml(self.to_dict())

    def rename_primary(self, name: str) -> None:
        """Rename the primary container, in the template and in the pod spec."""
        container = self.container.get()
        self.primary = name
        if container is not None:
            self.rename_container(container, name)

    def rename_container(self, container: dict[str, Any], name: str | None) -> None:
        """Rename a container, and the container in the references and annotations that name it.

        Args:
            container: The container.
            name: Its new name; None removes the name.
        """
        old = container.get("name")
        others = {each.get("name") for each in self._containers() if each is not container}
        if old and old not in others:  # otherwise they may be the other container's
            self._followers[id(container)] = self._take_followers(container, old)
        if name:
            container["name"] = name
        else:
            container.pop("name", None)
        followers = self._followers.get(id(container))
        if name and followers is not None:
            for reference in followers.references:
                reference["containerName"] = name
            if name not in others and followers.annotations:
                annotations = self.data["metadata"].setdefault("annotations", {})
                annotations.update({prefix + name: value for prefix, value in followers.annotations.items()})

    def _take_followers(self, container: dict[str, Any], name: str) -> Followers:
        """Return what refers to a container by its name; its annotations are removed."""
        annotations = self.data["metadata"].get("annotations") or {}
        return Followers(
            container,
            [each for each in _resource_refs(self.data["spec"]) if each.get("containerName") == name],
            {
                prefix: annotations.pop(prefix + name)
                for prefix in ANNOTATION_PREFIXES
                if prefix + name in annotations
            },
        )

    def rename_volume(self, volume: dict[str, Any], name: str | None) -> None:
        """Rename a volume, and the volume in all mounts of it.

        Args:
            volume: The volume.
            name: Its new name; None removes the name.
        """
        mounts = self.mounts_of(volume)
        if mounts:  # otherwise they may be those of another volume, whose name this one has while it is typed
            self._mounts[id(volume)] = VolumeMounts(volume, mounts)
        if name:
            volume["name"] = name
            remembered = self._mounts.get(id(volume))
            for mount in remembered.mounts if remembered else []:
                mount["name"] = name
        else:
            volume.pop("name", None)

    def mounts_of(self, volume: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the mounts of a volume in all containers; none if another volume has the same name."""
        name = volume.get("name")
        others = {each.get("name") for each in self.field("volumes").get() or [] if each is not volume}
        if not name or name in others:
            return []
        return [
            mount
            for container in self._containers()
            for mount in container.get("volumeMounts") or []
            if mount.get("name") == name
        ]

    def remove_mounts(self, volume: dict[str, Any]) -> None:
        """Remove the mounts of a volume from all containers."""
        mounts = self.mounts_of(volume)
        for container in self._containers():
            ref = field_ref(Item(self.field("containers"), container), "volumeMounts")
            if ref.get():
                ref.set([each for each in ref.get() if not any(each is mount for mount in mounts)] or None)

    def _containers(self) -> Iterator[dict[str, Any]]:
        for kind in ("containers", "initContainers"):
            yield from (each for each in self.field(kind).get() or [] if isinstance(each, dict))

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


@dataclass(frozen=True)
class DraftState:
    """All that a draft holds; two are equal if their templates are.

    Args:
        primary: Name of the primary container.
        namespace: Namespace of the template.
        data: Metadata and spec, in wire form.
        additions: What shortcuts have added to ``data``, whose items it refers to.
        notices: Lines for the user about the document that the template was read from.
    """

    primary: str
    namespace: str | None
    data: dict[str, Any]
    additions: dict[str, Any] = field(compare=False)
    notices: tuple[str, ...] = field(compare=False)


@dataclass(frozen=True)
class Followers:
    """What refers to a container by its name.

    Args:
        container: The container, which keeps its identity while this exists.
        references: The references to resources of the container, which are changed in place.
        annotations: The values of the container's annotations, by their prefixes.
    """

    container: dict[str, Any]
    references: list[dict[str, Any]]
    annotations: dict[str, Any]


@dataclass(frozen=True)
class VolumeMounts:
    """The mounts of a volume, which follow it while its name is typed.

    Args:
        volume: The volume, which keeps its identity while this exists.
        mounts: Its mounts, which are changed in place.
    """

    volume: dict[str, Any]
    mounts: list[dict[str, Any]]


def _resource_refs(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each ``resourceFieldRef`` in a value, at any depth."""
    if isinstance(value, dict):
        found = value.get("resourceFieldRef")
        if isinstance(found, dict):
            yield found
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _resource_refs(each)


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
