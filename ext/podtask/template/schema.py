"""The fields of a pod: what Kubernetes calls them, and what kind of value each takes. Pure.

The table is of the newest Kubernetes known here. A field that is not in it goes to the API server
as it is, unless it is a known one misspelt: clusters may be newer than this package.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import Problem

LISTED = Path(__file__).with_name("schema.txt")
SCALARS = {"": "text", "int": "a whole number", "bool": "true or false"}


@functools.cache
def fields(kind: str) -> dict[str, str]:
    """Return the fields of a type, ``PodSpec`` say, each with its kind."""
    return _table().get(kind, {})


def problems(value: Any, kind: str, path: str) -> Iterator[Problem]:
    """Yield what is no value of its kind, down to the last field.

    Args:
        value: in wire form.
        kind: a type of the table, or a scalar; ``*`` behind it for a list.
        path: of the value, ``spec``.
    """
    if kind.endswith("*"):
        if not isinstance(value, list):
            yield Problem(path, f"is {_kind_of(value)}, not a list.", "Write it in [ ].")
            return
        for place, item in enumerate(value):
            yield from problems(item, kind[:-1], f"{path}[{place}]")
    elif kind in SCALARS:
        yield from _scalar(value, kind, path)
    elif kind in ("map", "quantities") or fields(kind):
        if not isinstance(value, dict):
            yield Problem(path, f"is {_kind_of(value)}, not a mapping.", "Write {key: value}.")
            return
        for name, item in value.items():
            if kind == "map":
                yield from _scalar(item, "", f"{path}.{name}")
            elif kind != "quantities":
                yield from _field(str(name), item, kind, path)


def misspelt(name: str, kind: str) -> str:
    """Return the field of a type that a name is a misspelling of, else an empty text.

    At most two edits, and fewer in a short name: ``os`` is not ``tos``, and a newer Kubernetes may
    well have a field whose name resembles an older one's.
    """
    allowed = 2 if len(name) > 5 else 1
    near = {field: distance(name.lower(), field.lower()) for field in fields(kind) if len(field) > 3}
    found = min(near, key=lambda field: near[field], default="")
    return found if found and near[found] <= allowed else ""


def distance(one: str, other: str) -> int:
    """Return the edit distance (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            change = before + (left != right)
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, change)
    return row[-1]


def _field(name: str, value: Any, kind: str, path: str) -> Iterator[Problem]:
    if name in fields(kind):
        yield from problems(value, fields(kind)[name], f"{path}.{name}")
    elif meant := misspelt(name, kind):
        yield Problem(f"{path}.{name}", f"is no field. Did you mean {meant!r}?", f"Write {path}.{meant}.")


def _scalar(value: Any, kind: str, path: str) -> Iterator[Problem]:
    fits = {
        "": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
    }[kind]
    if not fits:
        yield Problem(path, f"is {_kind_of(value)}, not {SCALARS[kind]}.", _advice(value, kind))


def _advice(value: Any, kind: str) -> str:
    if kind == "":
        return "Put it in quotes."
    if kind == "int" and str(value).strip().isdecimal():
        return "Write it without quotes."
    if kind == "bool" and str(value).lower() in ("true", "false"):
        return f"Write {str(value).lower()} without quotes (in Python {str(value).capitalize()})."
    return f"Write {SCALARS[kind]}."


def _kind_of(value: Any) -> str:
    """What a value is, in words; it is not repeated: it may be a secret."""
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
    lines = [line.split() for line in LISTED.read_text().splitlines() if not line.startswith("#")]
    return {
        kind: {name: what for name, _, what in (entry.partition(":") for entry in entries)}
        for kind, *entries in lines
    }
