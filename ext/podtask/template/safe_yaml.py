"""Read YAML from untrusted sources: plain values only, of a limited size. Pure."""

from __future__ import annotations

from typing import Any

MAX_VALUES = 100_000  # the largest pod that fits in etcd (1.5 MiB) has fewer


def load_documents(text: str) -> list[Any]:
    """Return the documents of a YAML text as plain dicts, lists and scalars, without empty ones.

    Refuse tags of Python objects, and aliases that expand to too many values ("billion laughs")
    or that contain themselves.

    Raises:
        ValueError: The text is not valid YAML, or it contains something refused.
    """
    # Start-up cost: loaded when it is first needed.
    import yaml

    try:
        loaded = [each for each in yaml.safe_load_all(text) if each is not None]
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    sizes: dict[int, int] = {}
    for each in loaded:
        if _size(each, sizes) > MAX_VALUES:
            raise ValueError(f"its aliases expand to more than {MAX_VALUES:,} values")
    return loaded


def _size(value: Any, sizes: dict[int, int]) -> int:
    """Count values with aliases expanded; a value that contains itself exceeds the maximum."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in sizes:
        sizes[id(value)] = MAX_VALUES + 1  # while its parts are counted
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        sizes[id(value)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(value)]
