"""Differences between two pods in wire form, each at its line of the YAML. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_VALUE_CHARS = 60


@dataclass(frozen=True)
class Difference:
    """One difference between a YAML text and another value.

    Args:
        line: Line of the YAML, from 0.
        one_line: Whether the value is on the same line as its key.
        key: The key whose values differ; of an item that is only in the YAML, its name.
        yaml_value: The value in the YAML; None if the key is missing there.
        other_value: The value that it is compared with; None if the key or the item is missing there.
    """

    line: int
    one_line: bool
    key: str
    yaml_value: Any
    other_value: Any


def differences(node: Any, yaml_value: Any, other_value: Any) -> Iterator[Difference]:
    """Yield the differences between two values; items of a list are matched by their names.

    Args:
        node: The node that PyYAML composes from the YAML text.
        yaml_value: The value of that text.
        other_value: The value to compare it with.
    """
    if isinstance(yaml_value, dict) and isinstance(other_value, dict):
        for key_node, value_node in node.value:
            key = key_node.value
            if yaml_value[key] != other_value.get(key):
                yield from _differences_of_key(key_node, value_node, yaml_value[key], other_value.get(key))
        for key in other_value:
            if key not in yaml_value:
                yield Difference(node.start_mark.line, False, key, None, other_value[key])
    elif isinstance(yaml_value, list) and isinstance(other_value, list):
        others = _by_name(other_value)
        names = list(_by_name(yaml_value))
        for item_node, name, item in zip(node.value, names, yaml_value, strict=True):
            if name not in others:
                line = item_node.start_mark.line
                yield Difference(line, line == item_node.end_mark.line, name[0], item, None)
            elif isinstance(item, dict):
                yield from differences(item_node, item, others[name])


def dropped_fields(sent: Any, stored: Any, path: str = "") -> list[str]:
    """Return the paths of the fields that were sent to the API server and are not in its answer.

    The API server drops fields whose feature gate is off without a message. Items of a list are
    matched by their names, because the cluster may insert items before them.

    Args:
        sent: The value that was sent.
        stored: The value that the API server has stored.
        path: Path of the value.
    """
    if isinstance(sent, dict):
        if not isinstance(stored, dict):
            return [path] if sent else []
        return [
            dropped
            for key, value in sent.items()
            for dropped in dropped_fields(value, stored.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(sent, list):
        items = stored if isinstance(stored, list) else []
        by_name = _by_name(items)
        names = list(_by_name(sent))
        padded = [*items, *[None] * (len(sent) - len(items))]
        return [
            dropped
            for index, value in enumerate(sent)
            for dropped in dropped_fields(
                value,
                by_name.get(names[index]) if isinstance(value, dict) and "name" in value else padded[index],
                f"{path}[{index}]",
            )
        ]
    return [path] if stored is None and sent not in (None, False, "", 0) else []


def changed_fields(ours: Any, theirs: Any, path: str) -> list[tuple[str, str, str]]:
    """Return (path, our value, their value) of the fields of a pod that another one has otherwise, in short texts.

    What only the other one has may come from the cluster's defaults. The runner's own variables are left out.

    Args:
        ours: A value of our pod.
        theirs: The value of the other pod.
        path: Path of the value.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            found
            for key, value in ours.items()
            if value != theirs.get(key)
            for found in changed_fields(value, theirs.get(key), f"{path}.{key}")
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and all(isinstance(item, dict) for item in ours):
        others = _by_name(theirs)
        return [
            found
            for name, item in _by_name(ours).items()
            if item != others.get(name) and not name[0].startswith("PODTASK_")
            for found in changed_fields(item, others.get(name), f"{path}[{name[0]}]")
        ]
    return [] if ours == theirs else [(path, _short(ours), _short(theirs))]


def _short(value: Any) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"


def _by_name(items: list[Any]) -> dict[tuple[str, int], Any]:
    """Return the items of a list by name and number: a variable, or the mount of a volume, may occur twice."""
    counts: dict[str, int] = {}
    numbered = {}
    for item in items:
        name = str(item.get("name")) if isinstance(item, dict) else ""
        counts[name] = counts.get(name, 0) + 1
        numbered[name, counts[name]] = item
    return numbered


def _differences_of_key(
    key_node: Any, value_node: Any, yaml_value: Any, other_value: Any
) -> Iterator[Difference]:
    has_names = isinstance(yaml_value, list) and all(isinstance(item, dict) for item in yaml_value)
    if type(yaml_value) is type(other_value) and (isinstance(yaml_value, dict) or has_names):
        yield from differences(value_node, yaml_value, other_value)
        return
    line = key_node.start_mark.line
    one_line = value_node.start_mark.line == line == value_node.end_mark.line
    yield Difference(line, one_line, key_node.value, yaml_value, other_value)
