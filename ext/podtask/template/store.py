"""Pod templates by name: variables of the notebook, and templates saved for the project or the user."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.files import ignore_untrusted, is_trusted, project_folder, user_folder
from ..errors import InputError
from .template import PodTemplate
from .yaml_writer import dump_yaml

TEMPLATE_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def notebook_templates(namespace: Mapping[str, Any]) -> dict[str, PodTemplate]:
    """Return the pod templates among the notebook's variables, by name."""
    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, PodTemplate) and not name.startswith("_")
    }


def saved_templates() -> dict[str, Path]:
    """Return the files of saved templates by name; a project template hides a user template."""
    files = project_templates()
    for path in sorted(_user().glob("*.y*ml")):
        files.setdefault(path.stem, path)
    return files


def project_templates() -> dict[str, Path]:
    """Return the files of the project's templates that count, by name."""
    project, folder = project_folder(), _project()
    files: dict[str, Path] = {}
    if project is None or folder is None or not folder.is_dir():
        return files
    paths = sorted(folder.glob("*.y*ml"))
    if paths and not is_trusted(folder, project):
        ignore_untrusted(folder, "templates", project)
        return files
    for path in paths:
        if is_trusted(path, project):
            files.setdefault(path.stem, path)
        else:
            ignore_untrusted(path, "template", project)
    return files


def save_template(name: str, template: PodTemplate, for_user: bool = False, replace: bool = False) -> Path:
    """Save a template as YAML of a core/v1 PodTemplate, which kubectl accepts too.

    Args:
        name: Name of the template.
        template: Template to save.
        for_user: Save it in the user's folder instead of the project's.
        replace: Overwrite another template with the same name.

    Returns:
        The path of the file.

    Raises:
        InputError: The name is invalid or taken, or the folder is not writable.
    """
    if not TEMPLATE_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a valid template name.", "Use at most 63 letters, digits, '-', '_' and '.'."
        )
    folder = _user() if for_user else _project()
    if folder is None:
        raise InputError(
            "This notebook is not in a project: no enclosing folder has a pyproject.toml or a git repository.",
            "Save the template for yourself with --user.",
        )
    if not for_user and not _is_project_trusted():
        raise InputError(
            f"Templates in {folder} do not count: it belongs to another user, or everyone can write to it.",
            f"Save the template for yourself with --user, or trust the project: %podtask config --trust {project_folder()}",
        )
    path = folder / f"{name}.yaml"
    whole = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": name},
        "template": template.to_dict(),
    }
    # The name of the primary container is kept as an annotation in the pod's metadata.
    if path.exists() and not replace and PodTemplate.of(path) != PodTemplate.of(whole):
        raise InputError(
            f"A template named {name!r} already exists: {path}",
            "Choose another name, or replace it with --force.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, suffix=".part") as file:
            file.write(dump_yaml(whole))
        Path(file.name).replace(path)
    except OSError as error:
        raise InputError(
            f"Cannot save the template in {folder}: {error.strerror}",
            "Save it for yourself with --user, or write its to_yaml() to another place.",
        ) from None
    return path


def saves_for_user() -> bool:
    """Return whether a new template is saved in the user's own folder rather than in the project."""
    return not _is_project_trusted()


def _is_project_trusted() -> bool:
    """Return whether the notebook is in a project whose templates count, if there are any."""
    project, folder = project_folder(), _project()
    if project is None or folder is None:
        return False
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    return is_trusted(existing, project)


def _project() -> Path | None:
    root = project_folder()
    return root / ".podtask" / "templates" if root else None


def _user() -> Path:
    return user_folder() / "templates"
