"""Kubernetes quantities, as text and as numbers. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ..errors import InputError

UNIT_FACTORS = {
    "n": "1e-9",
    "u": "1e-6",
    "m": "1e-3",
    "": "1",
    "k": "1e3",
    "M": "1e6",
    "G": "1e9",
    "T": "1e12",
    "P": "1e15",
    "E": "1e18",
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "Ei": 2**60,
}
QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d+))?")
# The Kubernetes unit for the first letter of GB, gb, g or GiB.
UNIT_CORRECTIONS = {"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"}


def parse_quantity(given: Any) -> str:
    """Return a quantity as the text that was given.

    Raises:
        InputError: The value is not a quantity, or it is negative.
    """
    value = str(given).strip()
    if QUANTITY.fullmatch(value) and not value.startswith("-") and not isinstance(given, bool):
        return value
    raise InputError(
        f"{value!r} is not a quantity.{_hint(value)}",
        "Write a number with a Kubernetes unit: 500m or 2 (CPUs), 512Mi or 8Gi (bytes).",
    )


def to_decimal(given: Any) -> Decimal:
    """Return the number that a quantity stands for.

    Raises:
        InputError: The value is not a quantity.
    """
    match = QUANTITY.fullmatch(str(given))
    if not match:
        raise InputError(f"{given!r} is not a quantity.{_hint(str(given))}", "Write 500m, 2, 512Mi or 8Gi.")
    if match[3]:
        return Decimal(f"{match[1]}e{match[3]}")
    return Decimal(match[1]) * Decimal(str(UNIT_FACTORS[match[2] or ""]))


def _hint(value: str) -> str:
    parts = re.fullmatch(r"([\d.]+)\s*([A-Za-z]+)", value)
    if not parts:
        return ""
    number, unit = parts.groups()
    if unit not in UNIT_FACTORS:
        if not re.fullmatch("[kmgt](i?b)?", unit.lower()):
            return ""
        unit = UNIT_CORRECTIONS[unit[0].lower()]
    return f" Did you mean {number}{unit}?" if QUANTITY.fullmatch(number) else ""


def byte_size(size: int) -> str:
    """Return a number of bytes in a readable form: ``12 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size //= 1024
    return f"{size} GiB"
