"""YAML that may be anybody's: plain values of a size that one can work with. Pure."""

from __future__ import annotations

from typing import Any

MOST = 100_000  # values; the largest pod that etcd takes (1.5 MiB) has fewer


def documents(text: str) -> list[Any]:
    """Return the documents of a YAML text that are not empty, as plain dicts, lists and scalars.

    Tags of Python objects are refused, as are aliases that make much of little ("billion laughs")
    or hold themselves: a copy of those would never end.

    Raises:
        ValueError: it is no YAML, or none of this kind; says what.
    """
    import yaml

    try:
        found = [each for each in yaml.safe_load_all(text) if each is not None]
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    sizes: dict[int, int] = {}
    for each in found:
        if _size(each, sizes) > MOST:
            raise ValueError(f"its aliases unfold to more than {MOST:,} values")
    return found


def _size(value: Any, sizes: dict[int, int]) -> int:
    """Count values with aliases unfolded; a value that holds itself is as good as endless."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in sizes:
        sizes[id(value)] = MOST + 1  # while its parts are counted
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        sizes[id(value)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(value)]
