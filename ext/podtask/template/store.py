"""Pod templates by name: those of the notebook, and those saved for the project or the user."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.settings import project_folder, user_folder
from ..errors import InputError
from .template import PodTemplate

NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def of_notebook(namespace: Mapping[str, Any]) -> dict[str, PodTemplate]:
    """Return the templates among a notebook's variables."""
    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, PodTemplate) and not name.startswith("_")
    }


def saved() -> dict[str, Path]:
    """Return the files of saved templates by name; the project's come before the user's."""
    found: dict[str, Path] = {}
    for folder in (_project(), _user()):
        for path in sorted(folder.glob("*.y*ml")) if folder else []:
            found.setdefault(path.stem, path)
    return found


def save(name: str, template: PodTemplate, for_user: bool = False, replace: bool = False) -> Path:
    """Save a template as a core/v1 PodTemplate in YAML, which kubectl takes too.

    Args:
        name: of the template.
        template: what to save.
        for_user: in the user's folder instead of the project's.
        replace: whether one of that name may be replaced.

    Returns:
        The file.

    Raises:
        InputError: the name is none, it is taken, or the folder cannot be written.
    """
    import yaml

    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a name for a template.", "Letters, digits, '-', '_' and '.', at most 63."
        )
    folder = _user() if for_user else _project()
    if folder is None:
        raise InputError(
            "This notebook is in no project: no pyproject.toml, no git repository above.",
            "Save it for yourself with --user.",
        )
    path = folder / f"{name}.yaml"
    whole = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": name},
        "template": template.to_dict(),
    }
    # The name of the primary is part of the pod's metadata, so that it comes back.
    if path.exists() and not replace and PodTemplate.of(path) != PodTemplate.of(whole):
        raise InputError(
            f"There is a template {name!r} already: {path}",
            "Choose another name, or replace it with --force.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, suffix=".part") as file:
            file.write(yaml.safe_dump(whole, sort_keys=False))
        Path(file.name).replace(path)
    except OSError as error:
        raise InputError(
            f"Cannot save the template in {folder}: {error.strerror}",
            "Save it for yourself with --user, or elsewhere with to_yaml().",
        ) from None
    return path


def for_user() -> bool:
    """Return whether templates are saved for the user: there is no project here."""
    return _project() is None


def _project() -> Path | None:
    root = project_folder()
    return root / ".podtask" / "templates" if root else None


def _user() -> Path:
    return user_folder() / "templates"
