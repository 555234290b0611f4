"""Settings: defaults for the options, read from files and the environment, with their origin.

A later source overrides an earlier one: the user's file, the project's ``pyproject.toml``,
``PODTASK_*`` variables, the call itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from .options import RunOptions

VARIABLE_PREFIX = "PODTASK_"
CELL_OPTIONS = {"inputs", "outputs", "dry_run"}  # belong to one cell: cannot be settings
SETTABLE_OPTIONS = [field.name for field in fields(RunOptions) if field.name not in CELL_OPTIONS]


@dataclass(frozen=True)
class Setting:
    """The value of an option and its origin: a file, a variable or ``default``."""

    value: Any
    origin: str


def user_folder() -> Path:
    """Return the folder of the user's settings and templates on this platform."""
    # Start-up cost: loaded when it is first needed.
    from platformdirs import user_config_path

    return user_config_path("podtask", appauthor=False)


def project_folder(start: Path | None = None) -> Path | None:
    """Return the nearest enclosing folder with a pyproject.toml or a git repository."""
    folder = (start or Path.cwd()).resolve()
    for each in (folder, *folder.parents):
        if (each / "pyproject.toml").is_file() or (each / ".git").exists():
            return each
    return None


def read_settings(environ: Mapping[str, str] | None = None) -> dict[str, Setting]:
    """Return the settings by the name of their option.

    Raises:
        InputError: A file is not valid TOML, or a value is invalid. The message names the file or
            the variable.
    """
    settings: dict[str, Setting] = {}
    layers: list[tuple[Path, tuple[str, ...]]] = [(user_folder() / "config.toml", ())]
    project = project_folder()
    if project is not None:
        layers.append((project / "pyproject.toml", ("tool", "podtask")))
    for path, table in layers:
        for name, value in _table(path, table).items():
            settings[_known(name, str(path))] = Setting(value, str(path))
    for name, variable, value in _variables(os.environ if environ is None else environ):
        settings[name] = Setting(value, variable)
    for name, setting in settings.items():
        _check(name, setting)
    return settings


def with_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options, with the settings for those that are not given."""
    return {**{name: setting.value for name, setting in read_settings().items()}, **given}


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


def _table(path: Path, table: tuple[str, ...]) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        # Start-up cost: loaded when it is first needed.
        import tomllib
    else:
        # Start-up cost: loaded when it is first needed.
        import tomli as tomllib

    try:
        values: Any = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"Cannot read the settings in {path}: {error}", "Fix the file.") from None
    for part in table:
        values = values.get(part, {})
    if not isinstance(values, dict):
        raise InputError(f"{'.'.join(table)} in {path} is not a table.", "Write [tool.podtask].")
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
