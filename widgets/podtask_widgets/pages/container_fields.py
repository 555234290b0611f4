"""Entries that every container has: ports, mounts and environment variables."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from podtask.formatting import abbreviate

from ..converters import INTEGER, TEXT_OR_EMPTY
from ..field_refs import FieldRef, Key, field_ref
from ..inputs import EDIT_IN_YAML
from ..list_editors import Entry, MakeWidgets
from ..page import Page

PORT_COLUMNS = "minmax(0,1fr) minmax(0,1.4fr) minmax(0,1fr)"
MOUNT_COLUMNS = "minmax(0,1fr) minmax(0,1.1fr) minmax(0,.95fr) 124px"
VOLUME_MOUNT_COLUMNS = "minmax(0,1.4fr) minmax(0,1fr) 124px"
ENV_COLUMNS = "minmax(0,1.1fr) 104px minmax(0,1.1fr) minmax(0,.8fr)"
ENV_FROM_COLUMNS = "104px minmax(0,1.2fr) minmax(0,.8fr) minmax(0,.9fr)"
PROTOCOLS = (("TCP", None), ("UDP", "UDP"), ("SCTP", "SCTP"))
ACCESS_MODES = (("default", None), ("read and write", False), ("read only", True))
OPTIONAL_CHOICES = (("not set", None), ("optional", True), ("required", False))
# Where a variable's value can come from: the key of the entry, and its label.
VALUE_SOURCES = {
    "value": "value",
    "secretKeyRef": "Secret",
    "configMapKeyRef": "ConfigMap",
    "fieldRef": "pod field",
}
# Kinds of the objects that an entry refers to, as `manage.names` knows them.
OBJECT_KINDS = {
    "secretKeyRef": "secret",
    "configMapKeyRef": "config map",
    "secretRef": "secret",
    "configMapRef": "config map",
}
ENV_FROM_SOURCES = {"secretRef": "Secret", "configMapRef": "ConfigMap"}


def port_widgets(page: Page) -> MakeWidgets:
    """Return a function that makes the widgets of a port."""

    def make_widgets(entry: Entry) -> list[Any]:
        label, ref, save = f"Port {entry.number}", entry.ref, entry.save
        number = page.text_input(
            field_ref(ref, "containerPort"), label, INTEGER, placeholder="8080", on_change=save
        )
        name = page.text_input(field_ref(ref, "name"), f"{label}, name", placeholder="name", on_change=save)
        protocol = page.dropdown(field_ref(ref, "protocol"), f"{label}, protocol", PROTOCOLS, save)
        return [number.widget, name.widget, protocol.widget]

    return make_widgets


def mount_widgets(page: Page) -> MakeWidgets:
    """Return a function that makes the widgets of a volume mount."""

    def make_widgets(entry: Entry) -> list[Any]:
        volumes = [each.get("name", "") for each in page.draft.field("volumes").get() or []]
        volume = page.text_input(
            field_ref(entry.ref, "name"),
            f"Mount {entry.number}, volume",
            placeholder="volume",
            suggestions=volumes,
            on_change=entry.save,
        )
        return [volume.widget, *mount_fields(page, entry, lambda name: field_ref(entry.ref, name))]

    return make_widgets


def mount_fields(page: Page, entry: Entry, ref_of: Callable[[str], FieldRef]) -> list[Any]:
    """Return the widgets of a volume mount, without the name of its volume.

    Args:
        page: Page of the widgets.
        entry: Entry of the mount.
        ref_of: Returns a reference to a field of the mount.
    """
    label, save = f"Mount {entry.number}", entry.save
    path = page.text_input(ref_of("mountPath"), f"{label}, path", placeholder="/path", on_change=save)
    subpath = page.text_input(ref_of("subPath"), f"{label}, subpath", placeholder="subpath", on_change=save)
    access = page.dropdown(ref_of("readOnly"), f"{label}, access", ACCESS_MODES, save)
    return [path.widget, subpath.widget, access.widget]


def env_widgets(page: Page) -> MakeWidgets:
    """Return a function that makes the widgets of an environment variable."""

    def make_widgets(entry: Entry) -> list[Any]:
        label, save = f"Variable {entry.number}", entry.save
        source = ValueSource(entry.ref)
        value = page.text_input(
            VariableValue(source), f"{label}, value", TEXT_OR_EMPTY, suggestions=(), on_change=save
        )
        key = page.text_input(SourceKey(source), f"{label}, key", placeholder="key", on_change=save)

        def source_changed() -> None:
            value.widget.disabled = False
            value.widget.value = TEXT_OR_EMPTY.to_text(value.ref.get()) or ""
            _adapt_to_source(page, value.widget, key.widget, source)
            save()

        options = [(text, kind) for kind, text in VALUE_SOURCES.items()]
        source_dropdown = page.dropdown(source, f"{label}, from", options, source_changed)
        _adapt_to_source(page, value.widget, key.widget, source)
        name = page.text_input(
            field_ref(entry.ref, "name"), f"{label}, name", placeholder="NAME", on_change=save
        )
        return [name.widget, source_dropdown.widget, value.widget, key.widget]

    return make_widgets


def _adapt_to_source(page: Page, value: Any, key: Any, source: ValueSource) -> None:
    """Set placeholders and suggestions for the chosen source; show the key for a Secret or ConfigMap."""
    kind = source.get()
    has_key = kind in OBJECT_KINDS
    placeholders = {"value": "value", **OBJECT_KINDS, "fieldRef": "status.podIP"}
    value.placeholder = placeholders.get(kind, EDIT_IN_YAML)
    if kind not in VALUE_SOURCES:
        value.disabled = True
    value.options = ()
    if has_key:
        page.suggest_names(OBJECT_KINDS[kind], value, lambda: source.get() == kind)
    (key.remove_class if has_key else key.add_class)("pt-hidden")
    (value.remove_class if has_key else value.add_class)("pt-two")


class ValueSource:
    """A reference to the source of a variable's value: a key of VALUE_SOURCES, or another key of ``valueFrom``."""

    def __init__(self, entry: FieldRef) -> None:
        self.entry = entry
        self._original = copy.deepcopy(entry.get().get("valueFrom"))

    @property
    def path(self) -> str:
        """Path of ``valueFrom``."""
        return f"{self.entry.path}.valueFrom"

    def reference(self) -> Key:
        """Return a reference to the object or field that the value comes from; it stays when it gets empty."""
        return Key(field_ref(self.entry, "valueFrom"), self.get(), keep_empty=True)

    def get(self) -> str:
        """Return the kind of source."""
        value_from = self.entry.get().get("valueFrom")
        return next(iter(value_from), "value") if isinstance(value_from, dict) else "value"

    def set(self, kind: str) -> None:
        """Change the kind of source; keep the text of the value as the name of the object."""
        item = self.entry.get()
        text = VariableValue(self).get() if self.get() in VALUE_SOURCES else None
        item.pop("value", None)
        item.pop("valueFrom", None)
        if kind not in VALUE_SOURCES:  # offered only if the variable had this kind initially
            item["valueFrom"] = copy.deepcopy(self._original)
            return
        if kind != "value":
            item["valueFrom"] = {kind: {}}
        if kind == "value" or text:
            VariableValue(self).set(text or "")


class VariableValue:
    """A reference to a variable's value, or to the name of the object or field that it comes from.

    The value of a source that is not in VALUE_SOURCES is shown, but cannot be changed.
    """

    def __init__(self, source: ValueSource) -> None:
        self._source = source

    def _field(self) -> Key:
        kind = self._source.get()
        if kind == "value":
            return field_ref(self._source.entry, "value")
        return Key(self._source.reference(), "fieldPath" if kind == "fieldRef" else "name")

    @property
    def path(self) -> str:
        """Path of the field."""
        kind = self._source.get()
        return self._field().path if kind in VALUE_SOURCES else f"{self._source.path}.{kind}"

    def get(self) -> Any:
        """Return the value or the name; for other sources, an abbreviated text."""
        kind = self._source.get()
        if kind in VALUE_SOURCES:
            return self._field().get()
        value = field_ref(self._source.entry, "valueFrom", kind).get()
        return abbreviate(value) if value else None

    def set(self, value: Any) -> None:
        """Set the value; an empty value is kept if the variable has a name."""
        kind = self._source.get()
        if kind not in VALUE_SOURCES:
            return
        if kind != "value":
            self._field().set(value or None)
        elif value or self._source.entry.get().get("name"):
            self._field().set(value or "")
        else:
            self._field().set(None)


class SourceKey:
    """A reference to the key in a Secret or a ConfigMap."""

    def __init__(self, source: ValueSource) -> None:
        self._source = source

    def _field(self) -> Key:
        return Key(self._source.reference(), "key")

    @property
    def path(self) -> str:
        """Path of the key."""
        return self._field().path

    def get(self) -> Any:
        """Return the selected key of the Secret or ConfigMap; None if the variable has another source."""
        return self._field().get() if self._source.get() in OBJECT_KINDS else None

    def set(self, value: Any) -> None:
        """Set the key, if the source has keys."""
        if self._source.get() in OBJECT_KINDS:
            self._field().set(value)


def env_from_widgets(page: Page) -> MakeWidgets:
    """Return a function that makes the widgets of an entry of ``envFrom``."""

    def make_widgets(entry: Entry) -> list[Any]:
        label, save = f"Source {entry.number}", entry.save
        source = EnvFromSource(entry.ref)
        name = page.text_input(
            EnvFromField(source, "name"), f"{label}, name", placeholder="name", suggestions=(), on_change=save
        )
        prefix = page.text_input(
            field_ref(entry.ref, "prefix"), f"{label}, prefix", placeholder="prefix", on_change=save
        )

        def suggest_object_names() -> None:
            kind = source.get()
            name.widget.options = ()
            page.suggest_names(OBJECT_KINDS[kind], name.widget, lambda: source.get() == kind)

        def source_changed() -> None:
            suggest_object_names()
            save()

        suggest_object_names()
        options = [(text, kind) for kind, text in ENV_FROM_SOURCES.items()]
        source_dropdown = page.dropdown(source, label, options, source_changed)
        optional = page.dropdown(
            EnvFromField(source, "optional"), f"{label}, optional", OPTIONAL_CHOICES, save
        )
        return [source_dropdown.widget, name.widget, prefix.widget, optional.widget]

    return make_widgets


class EnvFromSource:
    """A reference to the kind of object that the variables come from: secretRef or configMapRef."""

    def __init__(self, entry: FieldRef) -> None:
        self.entry = entry

    @property
    def path(self) -> str:
        """Path of the reference to the object."""
        return f"{self.entry.path}.{self.get()}"

    def get(self) -> str:
        """Return secretRef or configMapRef."""
        return "configMapRef" if "configMapRef" in self.entry.get() else "secretRef"

    def set(self, kind: str) -> None:
        """Change the kind; keep the name of the object."""
        item = self.entry.get()
        if self.get() != kind:
            item[kind] = item.pop(self.get(), {})


class EnvFromField:
    """A reference to a field of ``secretRef`` or ``configMapRef``, such as the name of the object."""

    def __init__(self, source: EnvFromSource, name: str) -> None:
        self._source, self._name = source, name

    def _field(self) -> Key:
        # The kind of object stays when its name is removed.
        return Key(Key(self._source.entry, self._source.get(), keep_empty=True), self._name)

    @property
    def path(self) -> str:
        """Path of the field."""
        return self._field().path

    def get(self) -> Any:
        """Return the value."""
        return self._field().get()

    def set(self, value: Any) -> None:
        """Set the value."""
        self._field().set(value)
