"""How a value of a pod is shown as text, and read back from what is typed. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml
from podtask.template.safe_yaml import documents


@dataclass(frozen=True)
class Codec:
    """A way between values and text.

    Args:
        show: a value as text; None where the text could not say it.
        read: the value of a text; raises ValueError with what is wrong. None means no value.
    """

    show: Callable[[Any], str | None]
    read: Callable[[str], Any]


def _show_scalar(value: Any) -> str | None:
    return (
        str(value)
        if isinstance(value, (str, int, float)) and value is not True and value is not False
        else None
    )


def _show_words(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    return shlex.join(value)


def _read_words(text: str) -> list[str] | None:
    try:
        return shlex.split(text) or None
    except ValueError as error:
        raise ValueError(f"{error}: words as in a shell, quotes around blanks.") from None


def _read_whole(text: str) -> Any:
    try:
        return int(text) if text.strip() else None
    except ValueError:
        return text  # the checks say what is wrong with it


def _show_mode(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:04o}"
    return _show_scalar(value)


def _read_mode(text: str) -> int | None:
    try:
        return int(text, 8) if text.strip() else None
    except ValueError:
        raise ValueError(f"{text!r} is no file mode: 0400, say.") from None


def _show_yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False)) if value not in ({}, []) else ""


def _read_yaml(text: str) -> Any:
    try:
        value = next(iter(documents(text)), None)
    except ValueError as error:
        raise ValueError(f"No YAML: {error}") from None
    if value is not None and not isinstance(value, (dict, list)):
        raise ValueError("Not a mapping: write key: value.")
    return value


TEXT = Codec(_show_scalar, lambda text: text or None)
EXACT = Codec(_show_scalar, lambda text: text)  # an empty text is a value
WHOLE = Codec(_show_scalar, _read_whole)
WORDS = Codec(_show_words, _read_words)
MODE = Codec(_show_mode, _read_mode)
YAML = Codec(_show_yaml, _read_yaml)
