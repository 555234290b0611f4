"""Parts that every container has: variables, mounts, ports, bounds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from podtask.formatting import abbreviate

from ..converters import EXACT, WHOLE
from ..field_refs import FieldRef, Key, at
from ..inputs import NOT_HERE
from ..list_editors import Entry
from ..name_suggestions import offer
from ..page import Page

columns_of_ports = "minmax(0,1fr) minmax(0,1.4fr) minmax(0,1fr)"
columns_of_mounts = "minmax(0,1fr) minmax(0,1.1fr) minmax(0,.95fr) 124px"
columns_of_env = "minmax(0,1.1fr) 104px minmax(0,1.1fr) minmax(0,.8fr)"
columns_of_env_from = "104px minmax(0,1.2fr) minmax(0,.8fr) minmax(0,.9fr)"
ACCESS = (("as volume", None), ("read and write", False), ("read only", True))
MISSING = (("not set", None), ("may be missing", True), ("must exist", False))
Make = Callable[[Entry], list[Any]]
# How a variable gets its value: its key in the entry, the label, and the kind of object.
FROM = {
    "value": "value",
    "secretKeyRef": "secret",
    "configMapKeyRef": "config map",
    "fieldRef": "pod's field",
}
NAMED = {"secretKeyRef": "secret", "configMapKeyRef": "config map"}
REFERRED = {"secretRef": "secret", "configMapRef": "config map"}


def ports(page: Page) -> Make:
    """Returns how a port is edited."""
    protocols = (("TCP", None), ("UDP", "UDP"), ("SCTP", "SCTP"))

    def make(entry: Entry) -> list[Any]:
        said = f"Port {entry.number}"
        return [
            page.text(at(entry.place, "containerPort"), said, WHOLE, hint="8080", after=entry.write).widget,
            page.text(at(entry.place, "name"), f"{said}, name", hint="name", after=entry.write).widget,
            page.choice(at(entry.place, "protocol"), f"{said}, protocol", protocols, entry.write).widget,
        ]

    return make


def mounts(page: Page) -> Make:
    """Returns how a mount is edited."""

    def make(entry: Entry) -> list[Any]:
        said, place = f"Mount {entry.number}", entry.place
        names = [each.get("name", "") for each in page.draft.field("volumes").get() or []]
        return [
            page.text(
                at(place, "name"), f"{said}, volume", hint="volume", offers=names, after=entry.write
            ).widget,
            page.text(at(place, "mountPath"), f"{said}, path", hint="/path", after=entry.write).widget,
            page.text(
                at(place, "subPath"), f"{said}, path in the volume", hint="sub path", after=entry.write
            ).widget,
            page.choice(at(place, "readOnly"), f"{said}, access", ACCESS, entry.write).widget,
        ]

    return make


def env(page: Page) -> Make:
    """Returns how a variable is edited: its value, or where that comes from."""

    def make(entry: Entry) -> list[Any]:
        said = f"Variable {entry.number}"
        source = Source(entry.place)
        value = page.text(Value(source), f"{said}, value", EXACT, offers=(), after=entry.write)
        key = page.text(SourceKey(source), f"{said}, key", hint="key", after=entry.write)

        def chosen() -> None:
            value.widget.disabled = False
            value.widget.value = EXACT.show(value.place.get()) or ""
            _dress(value.widget, key.widget, source)
            entry.write()

        options = [(label, kind) for kind, label in FROM.items()]
        kinds = page.choice(source, f"{said}, from", options, chosen)
        _dress(value.widget, key.widget, source)
        name = page.text(at(entry.place, "name"), f"{said}, name", hint="NAME", after=entry.write)
        return [name.widget, kinds.widget, value.widget, key.widget]

    return make


def _dress(value: Any, key: Any, source: Source) -> None:
    kind = source.get()
    hints = {"value": "value", **NAMED, "fieldRef": "status.podIP"}
    value.placeholder = hints.get(kind, NOT_HERE)
    if kind not in FROM:
        value.disabled = True
    value.options = ()
    if kind in NAMED:
        offer(NAMED[kind], value, lambda: source.get() == kind)
    (key.remove_class if kind in NAMED else key.add_class)("pt-hidden")
    (value.remove_class if kind in NAMED else value.add_class)("pt-two")


class Source:
    """The place of where a variable's value comes from: a key of FROM, or one that YAML alone has."""

    def __init__(self, entry: FieldRef) -> None:
        self.entry = entry
        self._first = copy.deepcopy(entry.get().get("valueFrom"))

    @property
    def path(self) -> str:
        """As problems name it."""
        return f"{self.entry.path}.valueFrom"

    def get(self) -> str:
        """Returns the kind of source."""
        given = self.entry.get().get("valueFrom")
        return next(iter(given), "value") if isinstance(given, dict) else "value"

    def set(self, kind: str) -> None:
        """Changes the kind; the name of what it comes from, or its text, stays."""
        item, text = self.entry.get(), Value(self).get() if self.get() in FROM else None
        item.pop("value", None)
        item.pop("valueFrom", None)
        if kind not in FROM:  # one that it had: only such are offered
            item["valueFrom"] = copy.deepcopy(self._first)
            return
        if kind != "value":
            item["valueFrom"] = {kind: {}}
        if kind == "value" or text:
            Value(self).set(text or "")


class Value:
    """The place of a variable's value, or of the name of what it comes from.

    Of a kind that YAML alone has, it is shown and stays as it is.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def _key(self) -> Key:
        kind = self._source.get()
        if kind == "value":
            return at(self._source.entry, "value")
        return at(self._source.entry, "valueFrom", kind, "fieldPath" if kind == "fieldRef" else "name")

    @property
    def path(self) -> str:
        """As problems name it."""
        kind = self._source.get()
        return self._key().path if kind in FROM else f"{self._source.path}.{kind}"

    def get(self) -> Any:
        """Returns it."""
        kind = self._source.get()
        if kind in FROM:
            return self._key().get()
        given = at(self._source.entry, "valueFrom", kind).get()
        return abbreviate(given) if given else None

    def set(self, value: Any) -> None:
        """Changes it; a variable that has a name keeps an empty value."""
        kind = self._source.get()
        if kind not in FROM:
            return
        if kind != "value":
            self._key().set(value or None)
        elif value or self._source.entry.get().get("name"):
            self._key().set(value or "")
        else:
            self._key().set(None)


class SourceKey:
    """The place of the key in a secret or a config map."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _key(self) -> Key:
        return at(self._source.entry, "valueFrom", self._source.get(), "key")

    @property
    def path(self) -> str:
        """As problems name it."""
        return self._key().path

    def get(self) -> Any:
        """Returns it."""
        return self._key().get() if self._source.get() in NAMED else None

    def set(self, value: Any) -> None:
        """Changes it."""
        if self._source.get() in NAMED:
            self._key().set(value)


def env_from(page: Page) -> Make:
    """Returns how a source of many variables is edited."""

    def make(entry: Entry) -> list[Any]:
        said = f"Source {entry.number}"
        source = Reference(entry.place)
        name = page.text(
            Referred(source, "name"), f"{said}, name", hint="name", offers=(), after=entry.write
        ).widget

        def names() -> None:
            kind = source.get()
            name.options = ()
            offer(REFERRED[kind], name, lambda: source.get() == kind)

        def chosen() -> None:
            names()
            entry.write()

        names()
        options = [(label, kind) for kind, label in REFERRED.items()]
        return [
            page.choice(source, said, options, chosen).widget,
            name,
            page.text(at(entry.place, "prefix"), f"{said}, prefix", hint="prefix", after=entry.write).widget,
            page.choice(Referred(source, "optional"), f"{said}, when missing", MISSING, entry.write).widget,
        ]

    return make


class Reference:
    """The place of the kind of object that variables come from."""

    def __init__(self, entry: FieldRef) -> None:
        self.entry = entry

    @property
    def path(self) -> str:
        """As problems name it."""
        return f"{self.entry.path}.{self.get()}"

    def get(self) -> str:
        """Returns secretRef or configMapRef."""
        return "configMapRef" if "configMapRef" in self.entry.get() else "secretRef"

    def set(self, kind: str) -> None:
        """Changes it; the name stays."""
        item = self.entry.get()
        if self.get() != kind:
            item[kind] = item.pop(self.get(), {})


class Referred:
    """The place of a field of the object that variables come from."""

    def __init__(self, reference: Reference, name: str) -> None:
        self._reference, self._name = reference, name

    def _key(self) -> Key:
        return at(self._reference.entry, self._reference.get(), self._name)

    @property
    def path(self) -> str:
        """As problems name it."""
        return self._key().path

    def get(self) -> Any:
        """Returns it."""
        return self._key().get()

    def set(self, value: Any) -> None:
        """Changes it."""
        self._key().set(value)
