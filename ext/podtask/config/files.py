"""The files that settings and templates are read from: the user's, and those of the project that count.

A file of the project counts if only the user, groups of the user and root can change it, or if the user trusts
its folder. Files and folders that do not pass are ignored, and the user is told once.
"""

from __future__ import annotations

import functools
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError

TRUSTED_FOLDERS = "trusted-folders"  # a key of the user's file that is not an option
TRUSTED_LINE = re.compile(rf"^{TRUSTED_FOLDERS}[ \t]*=[ \t]*\[.*\][ \t]*\n?", re.MULTILINE)

_ignored: dict[Path, str] = {}
_named: set[str] = set()


def user_folder() -> Path:
    """Return the folder of the user's settings and templates on this platform."""
    # Start-up cost: loaded when it is first needed.
    from platformdirs import user_config_path

    return user_config_path("podtask", appauthor=False)


def user_file() -> Path:
    """Return the file of the user's settings."""
    return user_folder() / "config.toml"


def project_folder(start: Path | None = None) -> Path | None:
    """Return the nearest enclosing folder with a pyproject.toml or a git repository.

    The home folder is the last one that is searched, and the search does not leave the file system.
    """
    # Texts in place of paths: each cell searches.
    folder = os.path.realpath(start or os.getcwd())
    home, device = _home(), _device(folder)
    while _device(folder) == device:
        if os.path.isfile(f"{folder}/pyproject.toml") or os.path.exists(f"{folder}/.git"):
            return Path(folder)
        parent = os.path.dirname(folder)
        if folder in (home, parent):
            return None
        folder = parent
    return None


def is_trusted(path: Path, project: Path) -> bool:
    """Return whether a file or folder of a project counts.

    It counts if it and the folders between it and the project belong to the user or to root and are not
    writable by everyone, or if it is in a folder that the user trusts.

    Args:
        path: The file or folder.
        project: Folder of the project.
    """
    if not hasattr(os, "getuid"):  # Windows: other users have no access to a user's folders
        return True
    # Texts in place of paths: each cell asks.
    target = os.path.realpath(path)  # what a link points to
    folders = {*_folders_below(str(path), str(project)), *_folders_below(target, str(project))}
    if not _is_below(target, str(project)):
        folders.add(os.path.dirname(target))
    if all(_is_private(each) for each in (target, *folders)):
        return True
    return any(path.is_relative_to(each) for each in trusted_folders())


def trusted_folders() -> list[Path]:
    """Return the folders that the user trusts.

    Raises:
        InputError: The user's file is not valid TOML.
    """
    folders = read_toml(user_file()).get(TRUSTED_FOLDERS, [])
    if not isinstance(folders, list) or not all(isinstance(each, str) for each in folders):
        raise InputError(f"{TRUSTED_FOLDERS} in {user_file()} is not a list of folders.", "Fix the file.")
    return [Path(each) for each in folders]


def trust_folder(folder: Path) -> Path:
    """Add a folder to those that the user trusts, and return the file of the user's settings.

    Raises:
        InputError: The folder does not exist, or the file cannot be changed.
    """
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"Folder {folder} not found.", "Name an existing folder.")
    file = user_file()
    before = read_toml(file)
    folders = list(dict.fromkeys([*map(str, trusted_folders()), str(folder)]))
    line = f"{TRUSTED_FOLDERS} = {json.dumps(folders, ensure_ascii=False)}\n"
    try:
        text = file.read_text() if file.exists() else ""
        changed = line + TRUSTED_LINE.sub("", text)
        if _parse_toml(changed) != {**before, TRUSTED_FOLDERS: folders}:
            raise ValueError("it has another line with this key")
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.resolve().parent, delete=False) as new:
            new.write(changed)
        Path(new.name).replace(file.resolve())
    except (OSError, ValueError) as error:
        raise InputError(
            f"Cannot change {file}: {error}", f"Write this line at the top of the file: {line.rstrip()}"
        ) from None
    return file


def ignore(path: Path, reason: str) -> None:
    """Remember a line about a file, folder or setting that is ignored."""
    _ignored[path] = reason


def ignore_untrusted(path: Path, kind: str, project: Path) -> None:
    """Remember a file or folder that is ignored.

    Args:
        path: The file or folder.
        kind: Its content, for example "settings".
        project: Folder of the project.
    """
    ignore(
        path,
        f"Ignored the {kind} in {path}: the file or its folder belongs to another user, or everyone can write "
        f"to it. If you trust it: %podtask config --trust {project}",
    )


def ignored_files(*, only_new: bool = False) -> list[str]:
    """Return a line for each file, folder and setting that was ignored at the last reading of settings and templates.

    Args:
        only_new: Return only lines that no call has returned in this kernel.
    """
    lines = [line for line in _ignored.values() if not only_new or line not in _named]
    _named.update(lines)
    return lines


def clear_ignored() -> None:
    """Forget the ignored files and folders, before settings and templates are read again."""
    _ignored.clear()


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file, which must not be changed; an empty dict if it does not exist.

    Raises:
        InputError: The file cannot be read, or is not valid TOML.
    """
    try:
        return _parse_toml(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # not UTF-8 and not TOML are ValueErrors
        raise InputError(f"Cannot read the settings in {path}: {error}", "Fix the file.") from None


@functools.lru_cache(maxsize=16)
def _parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML text. Each cell reads the same few files."""
    if sys.version_info >= (3, 11):
        # Start-up cost: loaded when it is first needed.
        import tomllib
    else:
        # Start-up cost: loaded when it is first needed.
        import tomli as tomllib

    return tomllib.loads(text)


def _folders_below(path: str, project: str) -> Iterator[str]:
    """Yield the folders that a path is in, up to that of the project."""
    folder, below = os.path.dirname(path), path
    while folder != below and _is_below(folder, project):
        yield folder
        folder, below = os.path.dirname(folder), folder


def _is_below(path: str, project: str) -> bool:
    return path == project or path.startswith(project.rstrip("/") + "/")


def _is_private(path: str) -> bool:
    """Return whether a path belongs to the user or to root, and is not writable by everyone."""
    status = os.stat(path)
    return status.st_uid in (os.getuid(), 0) and not status.st_mode & stat.S_IWOTH


def _device(folder: str) -> int:
    return os.stat(folder).st_dev


def _home() -> str:
    """Return the user's home folder; "~" for a user without a name and without HOME, as in some clusters."""
    return os.path.realpath(home) if (home := os.path.expanduser("~")) != "~" else home
