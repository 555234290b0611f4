"""Conversions between a field's value and the text in its input. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from podtask.template.safe_yaml import load_documents
from podtask.template.yaml_writer import dump_yaml


@dataclass(frozen=True)
class Converter:
    """A conversion of a value to text and back.

    Args:
        to_text: Returns the text of a value, or None if text cannot represent it.
        from_text: Returns the value of a text, or None for no value; raises ValueError with a
            message for the user.
    """

    to_text: Callable[[Any], str | None]
    from_text: Callable[[str], Any]


def _scalar_to_text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def _words_to_text(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    return shlex.join(value)


def _words_from_text(text: str) -> list[str] | None:
    try:
        return shlex.split(text) or None
    except ValueError as error:
        raise ValueError(f"{error}. Write words as in a shell, with quotes around spaces.") from None


def _integer_from_text(text: str) -> Any:
    try:
        return int(text) if text.strip() else None
    except ValueError:
        return text  # the validation of the template reports it


def _file_mode_to_text(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:04o}"
    return _scalar_to_text(value)


def _file_mode_from_text(text: str) -> int | None:
    try:
        return int(text, 8) if text.strip() else None
    except ValueError:
        raise ValueError(f"{text!r} is not a file mode. Enter an octal number, for example 0400.") from None


def _yaml_to_text(value: Any) -> str:
    return dump_yaml(value) if value not in ({}, []) else ""


def check_yaml(text: str) -> list[Any]:
    """Return the documents of a YAML text.

    Raises:
        ValueError: The text is not valid YAML; the message says in which line, and why.
    """
    try:
        return load_documents(text)
    except ValueError as error:
        cause = str(error)
        raise ValueError(f"{cause[0].upper()}{cause[1:]}.") from None


def _yaml_from_text(text: str) -> Any:
    value = next(iter(check_yaml(text)), None)
    if value is not None and not isinstance(value, (dict, list)):
        raise ValueError("The text is not a mapping or a list. Write key: value.")
    return value


TEXT = Converter(_scalar_to_text, lambda text: text or None)
TEXT_OR_EMPTY = Converter(_scalar_to_text, lambda text: text)  # an empty text is a value
INTEGER = Converter(_scalar_to_text, _integer_from_text)
SHELL_WORDS = Converter(_words_to_text, _words_from_text)
FILE_MODE = Converter(_file_mode_to_text, _file_mode_from_text)
YAML = Converter(_yaml_to_text, _yaml_from_text)
