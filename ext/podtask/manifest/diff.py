"""Where two wire forms of a pod differ, by the lines of the YAML of one of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One difference.

    Args:
        line: of the YAML, from 0.
        one_line: the value stands on this line, behind its key.
        key: that differs.
        here: the value in the YAML; None where it has none.
        there: the other one; None where there is none.
    """

    line: int
    one_line: bool
    key: str
    here: Any
    there: Any


def marks(node: Any, here: Any, there: Any) -> Iterator[Difference]:
    """Yields the differences; items of a list are compared by their names.

    Args:
        node: of PyYAML, of the text of ``here``.
        here: what the text says.
        there: what it is compared with.
    """
    if isinstance(here, dict) and isinstance(there, dict):
        for key_node, value_node in node.value:
            key = key_node.value
            if here[key] != there.get(key):
                yield from _change(key_node, value_node, here[key], there.get(key))
        for key in there:
            if key not in here:
                yield Difference(node.start_mark.line, False, key, None, there[key])
    elif isinstance(here, list) and isinstance(there, list):
        named = {item.get("name"): item for item in there if isinstance(item, dict)}
        for item_node, item in zip(node.value, here, strict=True):
            if isinstance(item, dict) and item.get("name") in named:
                yield from marks(item_node, item, named[item.get("name")])


def dropped(asked: Any, stored: Any, path: str = "") -> list[str]:
    """Returns the paths of what was asked for and is not in the answer.

    A server drops fields of features that are off without a word. Items of a list are compared by
    their names, as the cluster may add some in front of them.
    """
    if isinstance(asked, dict):
        if not isinstance(stored, dict):
            return [path] if asked else []
        return [
            lost
            for key, value in asked.items()
            for lost in dropped(value, stored.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(asked, list):
        found = stored if isinstance(stored, list) else []
        named = {item["name"]: item for item in found if isinstance(item, dict) and "name" in item}
        missing = [*found, *[None] * (len(asked) - len(found))]
        return [
            lost
            for place, value in enumerate(asked)
            for lost in dropped(
                value,
                named.get(value["name"]) if isinstance(value, dict) and "name" in value else missing[place],
                f"{path}[{place}]",
            )
        ]
    return [path] if stored is None and asked not in (None, False, "", 0) else []


def _change(key_node: Any, value_node: Any, here: Any, there: Any) -> Iterator[Difference]:
    named = isinstance(here, list) and all(isinstance(item, dict) for item in here)
    if type(here) is type(there) and (isinstance(here, dict) or named):
        yield from marks(value_node, here, there)
        return
    line = key_node.start_mark.line
    one_line = value_node.start_mark.line == line == value_node.end_mark.line
    yield Difference(line, one_line, key_node.value, here, there)
