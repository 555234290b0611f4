"""Limits of the interpreter that code raises: ``sys.setrecursionlimit``, ``sys.set_int_max_str_digits``."""

from typing import Any, Dict, Optional

RECURSION, DIGITS = 1000, 4300  # Python's defaults


def capture(module: Any, pieces: Any) -> Optional[Dict[str, int]]:
    """Return the limits that are not Python's default. A lower recursion limit stays: the runner needs its own."""
    changed = {}
    if module.getrecursionlimit() > RECURSION:
        changed["setrecursionlimit"] = module.getrecursionlimit()
    if hasattr(module, "get_int_max_str_digits") and module.get_int_max_str_digits() != DIGITS:
        changed["set_int_max_str_digits"] = module.get_int_max_str_digits()
    return changed or None


def apply(module: Any, data: Dict[str, int]) -> None:
    """Set the limits that this version of Python has."""
    for name, limit in data.items():
        if hasattr(module, name):
            getattr(module, name)(limit)
