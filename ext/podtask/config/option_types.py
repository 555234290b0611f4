"""Parsers for the values of options, each with its own error message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean

# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
TASK_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

# Source: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
VARIABLE_NAME = re.compile("[ -<>-~]+")


def parse_bool(given: Any) -> bool:
    """Return a bool from a bool or from a word such as ``yes``.

    Raises:
        InputError: The value is not a bool.
    """
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(given).strip().lower() not in words:
        raise InputError(f"{given!r} is not a boolean.", "Write true or false.")
    return words[str(given).strip().lower()]


def one_of(*known: str) -> Callable[[Any], str]:
    """Return a parser that accepts only the given words."""

    def parse(given: Any) -> str:
        if given not in known:
            raise InputError(
                f"Unknown value {given!r}.{did_you_mean(str(given), known)}", f"Choose {' or '.join(known)}."
            )
        return str(given)

    return parse


def parse_task_name(given: Any) -> str:
    """Return the name of a task, which must be a valid label value.

    Raises:
        InputError: The name is invalid.
    """
    if not TASK_NAME.fullmatch(str(given)):
        raise InputError(
            f"{given!r} is not a valid task name.", "Use at most 63 letters, digits, '_', '-' and '.'."
        )
    return str(given)


def parse_variable_name(given: Any) -> str:
    """Return the name of an environment variable, by the rule of Kubernetes 1.30 and newer.

    Raises:
        InputError: The name is invalid.
    """
    if not VARIABLE_NAME.fullmatch(str(given)):
        raise InputError(
            f"{str(given)!r} is not a valid name for an environment variable.",
            "Use printable ASCII characters other than '='.",
        )
    return str(given)


def parse_strings(given: Any) -> tuple[str, ...]:
    """Return a tuple of strings from one string or from a list of strings.

    Raises:
        InputError: The value is not a string or a list of strings, or a string is empty.
    """
    strings = (given,) if isinstance(given, str) else tuple(_several(given))
    for each in strings:
        if not isinstance(each, str) or not each.strip():
            raise InputError(
                f"Expected a non-empty string, got {each!r}.", "Write a string or a list of strings."
            )
    return strings


def parse_lines(given: Any) -> tuple[str, ...]:
    """Return strings; replace the name of a ``.txt`` file by its lines without comments.

    Raises:
        InputError: The value is not a string or a list of strings, or a file cannot be read.
    """
    parsed: list[str] = []
    for each in parse_strings(given):
        if not each.endswith(".txt"):
            parsed.append(each)
            continue
        try:
            read = Path(each).expanduser().read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"Cannot read {each}: {error}",
                "Give the path of a text file, or a constraint such as numpy<2.",
            ) from None
        parsed += [line for line in (part.partition("#")[0].strip() for part in read) if line]
    return tuple(parsed)


def _several(given: Any) -> Iterable[Any]:
    if isinstance(given, Iterable):
        return given
    raise InputError(
        f"Expected a string, got {type(given).__name__}.", "Write a string or a list of strings."
    )
