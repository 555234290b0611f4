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
QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d+))?", re.ASCII
)
# The Kubernetes unit for the first letter of GB, gb, g or GiB.
UNIT_CORRECTIONS = {"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"}
BYTES, CPUS, INPUT = "memory", "cpu", "input"  # INPUT: what a cell is sent
BYTE_RESOURCES = re.compile(r"memory|(ephemeral-)?storage|hugepages-.+|input")
MIN_BYTES = 2**20  # no container starts with less
MAX_CPUS = 256  # more CPUs than this without a unit are millicores


def parse_quantity(
    given: Any,
    resource: str = "",
    hint: str = "Write a number with a Kubernetes unit: 500m or 2 (CPUs), 512Mi or 8Gi (bytes).",
) -> str:
    """Return a quantity as the text that was given.

    Args:
        given: The value.
        resource: Name of the resource, if it is known.
        hint: Hint of the error.

    Raises:
        InputError: The value is not a quantity, or it is negative.
    """
    value = str(given).strip()
    if QUANTITY.fullmatch(value) and not value.startswith("-") and not isinstance(given, bool):
        return value
    raise InputError(f"{value!r} is not a quantity.{_did_you_mean(value, resource)}", hint)


def parse_memory(given: Any) -> str:
    """Return a number of bytes as the text that was given.

    Raises:
        InputError: The value is not a quantity, or it is surely a mistake, such as 8 bytes.
    """
    return parse_plausible(given, BYTES, "Write 512Mi or 8Gi.")


def parse_cpu(given: Any) -> str:
    """Return a number of CPUs as the text that was given.

    Raises:
        InputError: The value is not a quantity, or it is surely a mistake, such as 1000 CPUs.
    """
    return parse_plausible(given, CPUS, "Write 500m, 2 or 1.5; 448000m is 448 CPUs.")


def parse_input_size(given: Any) -> str:
    """Return a number of bytes, which may be small, as the text that was given.

    Raises:
        InputError: The value is not a quantity, or a small number without a unit.
    """
    return parse_plausible(given, INPUT, "Write 256Mi or 1Gi.")


def parse_plausible(given: Any, resource: str, hint: str) -> str:
    """Return a quantity as the text that was given.

    Args:
        given: The value.
        resource: Name of the resource.
        hint: Hint of the error.

    Raises:
        InputError: The value is not a quantity, or it is surely a mistake.
    """
    text = parse_quantity(given, resource, hint)
    mistake = find_mistake(resource, text)
    if mistake:
        raise InputError(f"{text!r} is {mistake}", hint)
    return text


def find_mistake(resource: str, quantity: Any) -> str:
    """Return what a valid quantity says and what was probably meant, if it is surely a mistake; otherwise "".

    Args:
        resource: Name of the resource, such as memory or cpu. Other resources have no mistakes.
        quantity: The quantity.
    """
    match = QUANTITY.fullmatch(str(quantity).strip())
    if match is None:
        return ""
    amount, unit = to_decimal(quantity), match[2] or ""
    number = _plain(Decimal(match[1]) if unit else amount)
    is_too_small = amount < MIN_BYTES and not (resource == INPUT and unit not in ("", "m"))
    if BYTE_RESOURCES.fullmatch(resource) and is_too_small:
        return f"{_plain(amount)} bytes.{_meant_bytes(number, unit)}"
    if resource == CPUS and amount > MAX_CPUS and unit != "m":
        return f"{_plain(amount)} CPUs. Did you mean {number}{'' if unit else 'm'}?"
    return ""


def _meant_bytes(number: str, unit: str) -> str:
    """Return the likely meaning of a number of bytes that is too small: 8 is 8Gi, 512 is 512Mi."""
    size = Decimal(number)
    if not size:
        return ""
    if unit:
        meant = "Mi" if unit in ("m", "k", "Ki") else ""
    else:
        meant = "Gi" if size < 128 else "Mi" if size < 2**17 else "Ki"
    return f" Did you mean {number}{meant}?" if meant else ""


def _plain(number: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_decimal(given: Any, resource: str = "") -> Decimal:
    """Return the number that a quantity stands for.

    Args:
        given: The quantity.
        resource: Name of the resource, if it is known.

    Raises:
        InputError: The value is not a quantity.
    """
    match = QUANTITY.fullmatch(str(given).strip())  # as the API server reads it
    if not match:
        raise InputError(
            f"{given!r} is not a quantity.{_did_you_mean(str(given), resource)}",
            "Write 500m, 2, 512Mi or 8Gi.",
        )
    if match[3]:
        return Decimal(f"{match[1]}e{match[3]}")
    return Decimal(match[1]) * Decimal(str(UNIT_FACTORS[match[2] or ""]))


def _did_you_mean(value: str, resource: str) -> str:
    meant = find_meaning(value, resource)
    return f" Did you mean {meant}?" if meant else ""


def find_meaning(value: str, resource: str = "") -> str:
    """Return the quantity that a text probably means, such as 8Gi for "8 GB"; empty if that cannot be told.

    Args:
        value: The text.
        resource: Name of the resource, if it is known.
    """
    parts = re.fullmatch(r"(\d[\d.,_]*|[.,]\d+)\s*([A-Za-z]*)", value.strip(), re.ASCII)
    if not parts:
        return ""
    number, unit = _decimal_point(parts[1]), parts[2]
    if resource == CPUS and re.fullmatch("v?cpus?|cores?", unit.lower()):
        unit = ""
    elif unit not in UNIT_FACTORS:
        if not re.fullmatch("[kmgt](i?b(ytes?)?|ig|eg)?", unit.lower()):
            return ""
        unit = UNIT_CORRECTIONS[unit[0].lower()]
    if not QUANTITY.fullmatch(number):
        return ""
    mistake = find_mistake(resource, f"{number}{unit}")  # "1,5" of memory is not 1.5 bytes either
    return mistake.partition("Did you mean ")[2].rstrip("?") if mistake else f"{number}{unit}"


def _decimal_point(number: str) -> str:
    """Return a number with a decimal point: 1,5 is 1.5, 1_000 and 1,000 are 1000."""
    number = re.sub(r"(?<=\d)[_,](?=\d{3}(\D|$))", "", number)
    return number.replace(",", ".") if "." not in number else number


def byte_size(size: int) -> str:
    """Return a number of bytes in a readable form: ``12 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size //= 1024
    return f"{size} GiB"
