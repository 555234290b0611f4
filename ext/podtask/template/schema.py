"""The fields of a pod spec and the kind of value that each takes. Pure.

The table comes from a recent Kubernetes version. A cluster may be newer, so a field that is not in
the table is passed to the API server unchanged, unless it looks like a misspelled known field.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import Problem

SCHEMA_FILE = Path(__file__).with_name("schema.txt")
BOOLEANS = {"y": True, "Y": True, "n": False, "N": False}
EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]{1,2}")
SCALAR_DESCRIPTIONS = {"": "text", "int": "a whole number", "bool": "true or false"}


@functools.cache
def type_fields(kind: str) -> dict[str, str]:
    """Return the fields of a type such as ``PodSpec``, each with the kind of its value."""
    return _table().get(kind, {})


def type_problems(value: Any, kind: str, path: str) -> Iterator[Problem]:
    """Yield a problem for each value of the wrong kind, at any depth.

    Args:
        value: Value in wire form.
        kind: Name of a type in the table, or of a scalar; a trailing ``*`` marks a list.
        path: Path of the value, such as ``spec``.
    """
    if kind.endswith("*"):
        if not isinstance(value, list):
            yield Problem(path, f"is {_kind_of(value)}, not a list.", "Write it as a list, in [ ].")
            return
        for index, item in enumerate(value):
            yield from type_problems(item, kind[:-1], f"{path}[{index}]")
    elif kind in SCALAR_DESCRIPTIONS:
        yield from _scalar(value, kind, path)
    elif kind in ("map", "quantities") or type_fields(kind):
        if not isinstance(value, dict):
            yield Problem(path, f"is {_kind_of(value)}, not a mapping.", "Write {key: value}.")
            return
        for name, item in value.items():
            if kind == "map":
                yield from _scalar(item, "", f"{path}.{name}")
            elif kind != "quantities":
                yield from _field(str(name), item, kind, path)


def with_kubectl_types(value: Any, kind: str) -> Any:
    """Return a value whose booleans and whole numbers are such, where kubectl reads other words for them.

    YAML is read before its fields are known, so ``y`` and ``1e2`` are text, as they are for most fields.

    Args:
        value: Value in wire form; what does not fit its kind stays as it is.
        kind: Name of a type in the table, or of a scalar; a trailing ``*`` marks a list.
    """
    if isinstance(value, str):
        if kind == "int" and EXPONENT.fullmatch(value) and float(value).is_integer():
            return int(float(value))
        return BOOLEANS.get(value, value) if kind == "bool" else value
    if isinstance(value, list) and kind.endswith("*"):
        return [with_kubectl_types(each, kind[:-1]) for each in value]
    fields = type_fields(kind)
    if isinstance(value, dict) and fields:
        return {name: with_kubectl_types(each, fields.get(name, "any")) for name, each in value.items()}
    return value


def closest_field(name: str, kind: str) -> str:
    """Return the known field that a name probably misspells, or an empty string.

    Allow two edits, and one in a short name: a newer Kubernetes may have a new field whose name
    resembles an existing one.
    """
    allowed = 2 if len(name) > 5 else 1
    near = {
        field: edit_distance(name.lower(), field.lower()) for field in type_fields(kind) if len(field) > 3
    }
    closest = min(near, key=lambda field: near[field], default="")
    return closest if closest and near[closest] <= allowed else ""


def edit_distance(one: str, other: str) -> int:
    """Return the edit distance (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            change = before + (left != right)
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, change)
    return row[-1]


def _field(name: str, value: Any, kind: str, path: str) -> Iterator[Problem]:
    if name in type_fields(kind):
        yield from type_problems(value, type_fields(kind)[name], f"{path}.{name}")
    elif suggestion := closest_field(name, kind):
        yield Problem(
            f"{path}.{name}",
            f"is not a known field. Did you mean {suggestion!r}?",
            f"Write {path}.{suggestion}.",
        )


def _scalar(value: Any, kind: str, path: str) -> Iterator[Problem]:
    fits = {
        "": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
    }[kind]
    if not fits:
        yield Problem(path, f"is {_kind_of(value)}, not {SCALAR_DESCRIPTIONS[kind]}.", _advice(value, kind))


def _advice(value: object, kind: str) -> str:
    if kind == "":
        return "Put it in quotes."
    if kind == "int" and str(value).strip().isdecimal():
        return "Write it without quotes."
    if kind == "bool" and str(value).lower() in ("true", "false"):
        return f"Write {str(value).lower()} without quotes (in Python {str(value).capitalize()})."
    return f"Write {SCALAR_DESCRIPTIONS[kind]}."


def _kind_of(value: object) -> str:
    """Describe the kind of a value without repeating the value, which may be a secret."""
    words = {
        type(None): "nothing",
        str: "text",
        bool: "true or false",
        list: "a list",
        int: "a number",
        float: "a number",
        dict: "a mapping",
    }
    return words.get(type(value), f"a {type(value).__name__}")


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    lines = [line.split() for line in SCHEMA_FILE.read_text().splitlines() if not line.startswith("#")]
    return {
        kind: {name: value_kind for name, _, value_kind in (entry.partition(":") for entry in entries)}
        for kind, *entries in lines
    }
