"""Kinds of values that options take, each with its own words for a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest

# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
TASK_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

# Source: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
VARIABLE = re.compile("[ -<>-~]+")


def parse_bool(given: Any) -> bool:
    """Returns a truth from one, or from the words for it.

    Raises:
        InputError: it is none.
    """
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(given).strip().lower() not in words:
        raise InputError(f"{given!r} is neither yes nor no.", "Write true or false.")
    return words[str(given).strip().lower()]


def one_of(*known: str) -> Callable[[Any], str]:
    """Returns a parser that takes just these words."""

    def take(given: Any) -> str:
        if given not in known:
            raise InputError(
                f"{given!r} is not known.{nearest(str(given), known)}", f"Choose {' or '.join(known)}."
            )
        return str(given)

    return take


def task_name(given: Any) -> str:
    """Returns a name for a task, which is a label's value too.

    Raises:
        InputError: it is none.
    """
    if not TASK_NAME.fullmatch(str(given)):
        raise InputError(
            f"{given!r} is no name for a task.", "Letters, digits, '_', '-' and '.', at most 63."
        )
    return str(given)


def variable(given: Any) -> str:
    """Returns a name for an environment variable, of those that Kubernetes takes from 1.30 on.

    Raises:
        InputError: it is none.
    """
    if not VARIABLE.fullmatch(str(given)):
        raise InputError(
            f"{str(given)!r} is no name for an environment variable.",
            "One or more printable ASCII characters, no '=' among them.",
        )
    return str(given)


def parse_strings(given: Any) -> tuple[str, ...]:
    """Returns one text, or several.

    Raises:
        InputError: it is nothing of the kind, or one is empty.
    """
    found = (given,) if isinstance(given, str) else tuple(_several(given))
    for each in found:
        if not isinstance(each, str) or not each.strip():
            raise InputError(f"{each!r} is no text.", "Write one, or a list of such.")
    return found


def lines(given: Any) -> tuple[str, ...]:
    """Returns texts; the name of a file stands for its lines, comments left out.

    Raises:
        InputError: it is nothing of the kind, or a file cannot be read.
    """
    found: list[str] = []
    for each in parse_strings(given):
        if not each.endswith(".txt"):
            found.append(each)
            continue
        try:
            read = Path(each).expanduser().read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{each} cannot be read: {error}", "Name a file, or write numpy<2.") from None
        found += [line for line in (part.partition("#")[0].strip() for part in read) if line]
    return tuple(found)


def _several(given: Any) -> Iterable[Any]:
    if isinstance(given, Iterable):
        return given
    raise InputError(f"A {type(given).__name__} is no text.", "Write one, or a list of such.")
