"""Parsers for the values of options, each with its own error message."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from .quantities import parse_plausible

# Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
TASK_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

# Source: https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
VARIABLE_NAME = re.compile("[ -<>-~]+")

# 0.5, 1,5, 1.0, 1/2, 500m, 50%
GPU_SHARE = re.compile(r"(?P<whole>\d*)[.,](?P<part>\d*)|\d+/\d+|\d+[m%]", re.ASCII)
DURATION = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$")
DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
# A comma between two packages, not one between two bounds of a version or between two extras.
BETWEEN_PACKAGES = re.compile(r"\s*,\s*(?=[A-Za-z])(?![^\[]*\])")
NOT_SEVERAL_PACKAGES = re.compile(r"[@/;\n]|^\s*-")  # an address, a path, a marker, lines, an option of pip
NAMES_A_FILE = re.compile(r"(-r|-c|-e|--requirement|--constraint|--editable)\b")
PIP_COMMENT = re.compile(r"(^|\s+)#.*$")


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
        parsed += _read_lines(each) if each.endswith(".txt") else [each]
    return tuple(parsed)


def parse_packages(given: Any) -> tuple[str, ...]:
    """Return the packages of texts like ``a,b>=1,<2`` and of requirements files (``.txt``).

    Raises:
        InputError: The value is not a string or a list of strings, a file cannot be read, or it names another file,
            which the pod does not have.
    """
    parsed: list[str] = []
    for each in parse_strings(given):
        if not each.endswith(".txt") or "://" in each:
            parsed += (
                [each] if NOT_SEVERAL_PACKAGES.search(each) else BETWEEN_PACKAGES.split(each.strip(", "))
            )
            continue
        for line in _read_lines(each):
            if NAMES_A_FILE.match(line):
                raise InputError(
                    f"{each} has the line {line!r}, and the pod does not have that file.",
                    "Give each file on its own: --requirements FILE --constraint FILE.",
                )
            parsed.append(line)
    return tuple(parsed)


def _read_lines(file: str) -> list[str]:
    """Return the lines of a requirements or constraints file, without comments.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        text = Path(file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read {file}: {error}",
            "Give the path of a text file, or a package such as numpy<2.",
        ) from None
    lines = (PIP_COMMENT.sub("", line).strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


def parse_seconds(text: Any) -> float:
    """Return a duration in seconds from ``90``, ``90s``, ``30m``, ``2h``, ``1h30m`` or ``1d``.

    Raises:
        InputError: The text is not a duration, or the duration is not positive.
    """
    value = str(text).strip()
    parts = DURATION.match(value)
    if re.fullmatch(r"\d+(\.\d+)?", value):
        total = float(value)
    elif value and parts:
        days, hours, minutes, rest = (float(part or 0) for part in parts.groups())
        total = days * 86400 + hours * 3600 + minutes * 60 + rest
    else:
        raise InputError(f"{value!r} is not a duration.", "Write 90s, 30m, 2h or 1h30m.")
    if total <= 0:
        raise InputError(f"{value!r} is not a positive duration.", "Write 90s, 30m, 2h or 1h30m.")
    return total


def parse_names(text: Any) -> tuple[str, ...]:
    """Return Python names from a text like ``a,b`` or from a list of such texts.

    Raises:
        InputError: The value is not a list of names.
    """
    given = [text] if isinstance(text, str) else text
    if not isinstance(given, Iterable) or not all(isinstance(each, str) for each in given):
        raise InputError(f"Expected a list of names, got {text!r}.", "Separate names with commas: x,y")
    names = [name for part in given for name in re.split(r"[,\s]+", part) if name]
    for name in names:
        if not name.isidentifier():
            raise InputError(f"{name!r} is not a valid Python name.", "Separate names with commas: x,y")
    return tuple(dict.fromkeys(names))


def parse_mapped(given: Any) -> tuple[tuple[str, str], ...]:
    """Return (name, name of a list) pairs from ``NAME=LIST`` texts or a mapping.

    Raises:
        InputError: A pair has another form, or a name is given twice.
    """
    if isinstance(given, Mapping):
        pairs = [(str(name), str(source)) for name, source in given.items()]
    else:
        texts = [given] if isinstance(given, str) else given
        parts = [each.partition("=")[::2] if isinstance(each, str) else each for each in texts]
        pairs = [(str(name), str(source)) for name, source in parts]
    for name, source in pairs:
        if not name.isidentifier() or not source.isidentifier():
            raise InputError(
                f"{name}={source} is not NAME=LIST.",
                "Name a variable of the cell, and one with its values: path=paths",
            )
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} is given twice.", "Give each name one list.")
    return tuple(pairs)


def parse_env(given: Any) -> tuple[tuple[str, str], ...]:
    """Return (name, value) pairs from ``NAME=VALUE`` texts or a mapping; ``NAME`` has the notebook's value.

    Raises:
        InputError: ``NAME`` is not set in the notebook's environment, a name is reserved or invalid, or a value has
            another type.
    """
    if isinstance(given, Mapping):
        pairs = [(str(name), str(value)) for name, value in given.items()]
    else:
        pairs = [_parse_env_pair(item) for item in ([given] if isinstance(given, str) else _env_items(given))]
    for name, _ in pairs:
        parse_variable_name(name)
        if name.startswith("PODTASK_"):
            raise InputError(f"{name}: names that begin with PODTASK_ are reserved.", "Choose another name.")
    return tuple(pairs)


def _env_items(given: Any) -> Iterable[Any]:
    if isinstance(given, Iterable):
        return given
    raise InputError(f"Expected a list of variables, got {type(given).__name__}.", "Write NAME=VALUE.")


def _parse_env_pair(item: Any) -> tuple[str, str]:
    if isinstance(item, tuple) and len(item) == 2:
        return str(item[0]), str(item[1])
    if not isinstance(item, str):
        raise InputError(f"Expected a variable, got {type(item).__name__}.", "Write NAME=VALUE.")
    name, sign, value = item.partition("=")
    if name and not sign and name in os.environ:
        return name, os.environ[name]
    if not sign or not name:
        raise InputError(f"{name!r} has no value.", "Write NAME=VALUE, or NAME to send the notebook's value.")
    return name, value


def parse_namespace(text: Any) -> str:
    """Return the name of a namespace.

    Raises:
        InputError: The text is not a DNS label.
    """
    return _parse_dns_label(text, "namespace")


def parse_container_name(text: Any) -> str:
    """Return the name of a container.

    Raises:
        InputError: The text is not a DNS label.
    """
    return _parse_dns_label(text, "name of a container")


def _parse_dns_label(text: Any, what: str) -> str:
    """Return a name that is a DNS label (RFC 1123).

    Raises:
        InputError: The text is not a DNS label.
    """
    if not DNS_LABEL.fullmatch(str(text)):
        raise InputError(
            f"{text!r} is not a valid {what}.",
            "Use at most 63 lower case letters, digits and dashes.",
        )
    return str(text)


def parse_count(text: Any) -> int:
    """Return a positive whole number.

    Raises:
        InputError: The text is not a positive whole number.
    """
    if isinstance(text, bool) or not re.fullmatch(r"[1-9]\d*", str(text), re.ASCII):
        raise InputError(f"{text!r} is not a positive whole number.", "Write 1, 2 or another whole number.")
    return int(text)


def parse_gpus(given: Any) -> int:
    """Return a number of GPUs; 0 for none, also if the template requests some.

    Raises:
        InputError: The value is not a whole number; a share of a GPU gets a hint of its own.
    """
    if str(given).strip() == "0":
        return 0
    share = GPU_SHARE.fullmatch(str(given).strip())
    if share is None or isinstance(given, bool):
        return parse_count(given)
    whole, part = int(share["whole"] or 0), (share["part"] or "").strip("0")
    raise InputError(
        f"{str(given)!r} is not a whole number of GPUs. Did you mean {max(whole + bool(part), 1)}?",
        "A pod gets whole GPUs. If the cluster offers shares of a GPU under a name of their own, add --gpu-key NAME.",
    )


def parse_limits(given: Any) -> tuple[tuple[str, str], ...]:
    """Return (resource, quantity) pairs from a text like ``cpu=2,memory=8Gi``, a list of them or a mapping.

    Raises:
        InputError: A pair has no quantity, or a quantity is invalid or surely a mistake.
    """
    hint = "Write cpu=2,memory=8Gi."
    if isinstance(given, Mapping):
        pairs = [(str(name), value) for name, value in given.items()]
    else:
        pairs = []
        for item in (given,) if isinstance(given, str) else _several(given):
            if isinstance(item, tuple) and len(item) == 2:
                pairs.append((str(item[0]), item[1]))
                continue
            for part in filter(None, re.split(r"[,\s]+", str(item))):
                name, sign, value = part.partition("=")
                if not name or not sign:
                    raise InputError(f"{part!r} has no quantity.", hint)
                pairs.append((name, value))
    return tuple((name, parse_plausible(value, name, hint)) for name, value in pairs)


def _several(given: Any) -> Iterable[Any]:
    if isinstance(given, Iterable):
        return given
    raise InputError(
        f"Expected a string, got {type(given).__name__}.", "Write a string or a list of strings."
    )
