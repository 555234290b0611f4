"""Settings: defaults for the options, read from files and the environment, with their origin.

A later source overrides an earlier one: the user's file, the project's ``pyproject.toml``,
``PODTASK_*`` variables, the call itself.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from .files import (
    TRUSTED_FOLDERS,
    ignore,
    ignore_untrusted,
    is_trusted,
    project_folder,
    read_toml,
    user_file,
)
from .notification import KEYS as NOTIFICATION_KEYS
from .options import ALL, RunOptions

VARIABLE_PREFIX = "PODTASK_"
PROJECT_FILE = "pyproject.toml"
PROJECT_TABLE = ("tool", "podtask")
# Belong to one cell: they cannot be settings.
CELL_OPTIONS = {
    *("inputs", "outputs", "results_in", "dry_run", "mapped", "grid"),
    *("session", "replace_session", "trust"),
}
SETTABLE_OPTIONS = [field.name for field in fields(RunOptions) if field.name not in CELL_OPTIONS]
# Where credentials and code come from: a file that arrives with somebody else's project cannot set it.
USER_SETTINGS = {"context", "index_url", "extra_index_url"}
# A project may forbid the kernel to unpickle results, but not allow it where the user forbids it.
USER_VALUES = {"results": ALL}
# What a cell runs in, and where: the cell's first line names the file of the project that sets it.
NAMED_SETTINGS = ("image", "template", "namespace", "local")


@dataclass(frozen=True)
class Setting:
    """The value of an option and its origin: a file, a variable or ``default``."""

    value: Any
    origin: str


def read_settings(environ: Mapping[str, str] | None = None) -> dict[str, Setting]:
    """Return the settings by the name of their option.

    Raises:
        InputError: A file is not valid TOML, or a value is invalid. The message names the file or
            the variable.
    """
    settings: dict[str, Setting] = {}
    for path, table in _layers():
        for key, value in table.items():
            if key.replace("-", "_") in NOTIFICATION_KEYS:
                if path.name == PROJECT_FILE:
                    _ignore_of_project(path, key, "set it")
                continue
            name = _known(key, str(path))
            refusal = _project_refusal(name, value, path.parent) if path.name == PROJECT_FILE else ""
            if refusal:
                _ignore_of_project(path, f"{key} = {value!r}" if name in USER_VALUES else key, refusal)
            else:
                settings[name] = Setting(value, str(path))
    for name, variable, value in _variables(os.environ if environ is None else environ):
        settings[name] = Setting(value, variable)
    for name, setting in settings.items():
        _check(name, setting)
    return settings


def _ignore_of_project(file: Path, shown: str, refusal: str) -> None:
    """Remember a line about a setting of a project that is ignored.

    Args:
        file: File of the project.
        shown: The setting, as the line shows it.
        refusal: What the project cannot do.
    """
    ignore(
        file / shown,
        f"{shown} in {file} is ignored: a project cannot {refusal}. To set it for yourself, "
        f"write it to {user_file()}",
    )


def _project_refusal(name: str, value: object, project: Path) -> str:
    """Return what a project cannot do with the value of a setting; empty if the project can set it.

    Args:
        name: Name of the option.
        value: Its value in the project's file, which may have a wrong type.
        project: Folder of the project.
    """
    if name in USER_SETTINGS or USER_VALUES.get(name) == value:
        return "set it"
    texts = _parse_strings(value)
    lines = [line.strip() for text in texts for line in text.splitlines()]
    if name in ("pip", "constraint") and any(line.startswith("-") for line in lines):
        return "set options of pip, such as a package index"
    files = [Path(text).expanduser().resolve() for text in texts if text.endswith(".txt")]
    if name == "pip" and files:
        return "send a requirements file"
    if name == "constraint" and not all(each.is_relative_to(project) for each in files):
        return "send a file outside its folder"
    if name == "env" and any("=" not in text for text in texts):
        return "send variables of the notebook's environment"
    if name == "env" and any(line.startswith("PIP_") for line in lines):
        return "set options of pip, such as a package index"
    return ""


def _parse_strings(value: object) -> list[str]:
    """Return the texts of a setting; NAME=VALUE for each entry of a table."""
    if isinstance(value, Mapping):
        return [f"{name}={each}" for name, each in value.items()]
    texts = value if isinstance(value, list) else [value]
    return [each for each in texts if isinstance(each, str)]


def project_notice(settings: Mapping[str, Setting], given: Container[str]) -> tuple[str, ...]:
    """Return a line that names the project's file if it decides where or what a cell runs; empty if not.

    Args:
        settings: The settings.
        given: Names of the options that the call sets, which override the settings.
    """
    found = {
        name: setting.origin
        for name, setting in settings.items()
        if name in NAMED_SETTINGS and name not in given and Path(setting.origin).name == PROJECT_FILE
    }
    if not found:
        return ()
    return (f"Settings from {next(iter(found.values()))}: {', '.join(found)}",)


def all_settings() -> dict[str, Setting]:
    """Return the value and the origin of every option that can be a setting."""
    defaults = {name: Setting(getattr(RunOptions(), name), "default") for name in SETTABLE_OPTIONS}
    return {**defaults, **read_settings()}


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    if environ.get("PODTASK_BACKEND") == "local":
        yield "local", "PODTASK_BACKEND", True
    for name in SETTABLE_OPTIONS:
        variable = VARIABLE_PREFIX + name.upper()
        if environ.get(variable):
            yield name, variable, environ[variable]


def _layers() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the user's file and the file of the project, with their settings; a file that does not count has none."""
    file = user_file()
    yield file, {name: value for name, value in read_toml(file).items() if name != TRUSTED_FOLDERS}
    project = project_folder()
    if project is None:
        return
    file = project / PROJECT_FILE
    trusted = not file.exists() or is_trusted(file, project)
    try:
        table = _project_table(file)
    except InputError:
        if trusted:
            raise
        return
    if table and not trusted:
        ignore_untrusted(file, "settings", project)
    elif table:
        yield file, table


def _project_table(file: Path) -> dict[str, Any]:
    """Return the table of podtask in the file of a project.

    Raises:
        InputError: The file is not valid TOML, or has no such table.
    """
    values: Any = read_toml(file)
    for part in PROJECT_TABLE:
        values = values.get(part, {}) if isinstance(values, dict) else values
    if not isinstance(values, dict):
        raise InputError(f"{'.'.join(PROJECT_TABLE)} in {file} is not a table.", "Write [tool.podtask].")
    return values


def _known(name: str, origin: str) -> str:
    option = name.replace("-", "_")
    if option not in SETTABLE_OPTIONS:
        why = (
            " It belongs to a single cell."
            if option in CELL_OPTIONS
            else did_you_mean(option, SETTABLE_OPTIONS)
        )
        raise InputError(
            f"{origin}: unknown setting {name!r}.{why}", f"Settings: {', '.join(SETTABLE_OPTIONS)}."
        )
    return option


def _check(name: str, setting: Setting) -> None:
    try:
        RunOptions.of(**{name: setting.value})
    except InputError as error:
        raise InputError(f"{setting.origin}: {error.message}", error.hint) from None
