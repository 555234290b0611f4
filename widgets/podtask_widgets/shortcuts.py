"""Shortcuts of the form: each adds several fields at once, and removes what it added. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from podtask.errors import InputError
from podtask.presets import gpu, restricted
from podtask.template.template import PodTemplate

from .draft import Draft
from .field_refs import field_ref

GPU_RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True)
class Shortcut:
    """A preset that the form can add and remove.

    Args:
        name: Name under which the draft keeps what was added.
        preset: Preset to apply.
        add_label: Label of the button that adds it.
        remove_label: Label of the button that removes it.
        is_applied: Returns whether a draft has what the preset adds.
    """

    name: str
    preset: Any
    add_label: str
    remove_label: str
    is_applied: Callable[[Draft], bool]

    def add(self, draft: Draft) -> None:
        """Apply the preset, and remember in the draft what it added.

        Raises:
            InputError: The draft is not a valid template.
        """
        before, after = draft.template(), draft.template().with_(self.preset)
        additions = dict(draft.additions)
        draft.load(after)
        draft.additions.update(additions)
        draft.additions[self.name] = find_additions(before.pod_spec, draft.data["spec"])

    def remove(self, draft: Draft) -> None:
        """Remove what was added; without a record, what the preset adds to an empty template."""
        additions = draft.additions.pop(self.name, None)
        if additions is None:
            alone = PodTemplate(primary_container_name=draft.primary).with_(self.preset)
            additions = find_additions({"containers": [{"name": draft.primary}]}, alone.pod_spec)
        remove_additions(draft.data["spec"], additions)


def _is_restricted(draft: Draft) -> bool:
    try:
        template = draft.template()
        return bool(template.pod_spec) and template.with_(restricted()) == template
    except InputError:
        return False


GPU = Shortcut(
    "gpu",
    gpu(1),
    "Add an NVIDIA GPU with toleration and shared memory",
    "Remove the NVIDIA GPU with its toleration and shared memory",
    lambda draft: field_ref(draft.container, "resources", "limits", GPU_RESOURCE).get() is not None,
)
RESTRICTED = Shortcut(
    "restricted",
    restricted(),
    "Apply the “restricted” Pod Security Standard",
    "Remove the “restricted” Pod Security Standard",
    _is_restricted,
)


@dataclass(frozen=True)
class Additions:
    """What was added to a mapping or a list.

    Args:
        previous: Fields of a mapping that were set, with their values before; None for a new field.
        items: Items that were added to a list.
        inner: Additions in the values of a mapping by key, or in the items of a list by name.
    """

    previous: dict[str, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)
    inner: dict[str, Additions] = field(default_factory=dict)


def find_additions(before: Any, after: Any) -> Additions:
    """Return what has been added to a mapping or a list.

    Args:
        before: The value before.
        after: The value now. The additions refer to its items, so that they are found after they were edited.
    """
    found = Additions()
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in after.items():
            old = before.get(key)
            if old is None and isinstance(value, (dict, list)):
                old = type(value)()
            if isinstance(old, type(value)) and isinstance(value, (dict, list)):
                found.inner[key] = find_additions(old, value)
            elif old != value:
                found.previous[key] = old
    elif isinstance(before, list) and isinstance(after, list):
        by_name = {each.get("name"): each for each in before if isinstance(each, dict) and "name" in each}
        for item in after:
            if item in before:
                continue
            name = item.get("name") if isinstance(item, dict) else None
            if name is not None and name in by_name:
                found.inner[name] = find_additions(by_name[name], item)
            else:
                found.items.append(item)
    return found


def remove_additions(value: Any, additions: Additions) -> None:
    """Remove additions from a mapping or a list in place, and containers of them that are empty then.

    Args:
        value: The mapping or the list.
        additions: What was added to it. Items that were edited since are removed, too.
    """
    if isinstance(value, dict):
        for key, previous in additions.previous.items():
            if previous is None:
                value.pop(key, None)
            else:
                value[key] = previous
        for key, inner in additions.inner.items():
            if key in value:
                remove_additions(value[key], inner)
                if value[key] in ({}, []) and (inner.previous or inner.items or inner.inner):
                    del value[key]
    elif isinstance(value, list):
        kept = [each for each in value if not any(each is item or each == item for item in additions.items)]
        value[:] = kept
        for item in kept:
            name = item.get("name") if isinstance(item, dict) else None
            if name in additions.inner:
                remove_additions(item, additions.inner[name])
