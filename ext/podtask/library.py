"""Pod templates by name: of the notebook, saved in the project or for the user, in the cluster."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError, nearest
from .options import RunOptions
from .settings import merged, project_folder, user_folder
from .template import PodTemplate

IN_CLUSTER = "pod-template/"
NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


_default: Any = None  # the session's template


def use(template: Any) -> None:
    """Makes a template the default of this session; None ends that."""
    global _default
    _default = template


def default() -> Any:
    """Returns the session's template; None where there is none."""
    return _default


def options(given: Mapping[str, Any], namespace: Mapping[str, Any] | None = None) -> RunOptions:
    """Returns the options of a call: what is given, then the session's default, then settings.

    Args:
        given: options of the call, as given.
        namespace: names of the notebook, where templates are looked up; None for ``__main__``'s.

    Raises:
        InputError: a value is wrong, or there is no such template.
    """
    beneath = {"template": _default} if _default is not None else {}
    return settled(RunOptions.of(**merged({**beneath, **given})), namespace)


def settled(chosen: RunOptions, namespace: Mapping[str, Any] | None = None) -> RunOptions:
    """Returns the same options with the template itself where its name stood.

    Raises:
        InputError: there is no such template.
    """
    if not isinstance(chosen.template, str):
        return chosen
    names = sys.modules["__main__"].__dict__ if namespace is None else namespace
    return chosen.changed(template=find(chosen.template, names, chosen))


def find(name: str, namespace: Mapping[str, Any], chosen: RunOptions) -> Any:
    """Returns the template of that name, in any form that ``PodTemplate.of`` takes.

    Args:
        name: of a variable, a saved template, a file, or ``pod-template/NAME`` of the cluster.
        namespace: names of the notebook.
        chosen: says which cluster and namespace.

    Raises:
        InputError: there is none; says which there are.
    """
    if name in namespace:
        return namespace[name]
    if name.startswith(IN_CLUSTER):
        from .remote import pod_template

        return pod_template(name.removeprefix(IN_CLUSTER), chosen)
    if "\n" in name:
        return name
    if name.endswith((".yaml", ".yml")) or os.sep in name:
        return Path(name)
    kept = saved()
    if name in kept:
        return kept[name]
    known = [*of_notebook(namespace), *kept]
    raise InputError(
        f"There is no pod template {name!r} in this notebook, nor a saved one.{nearest(name, known)}",
        f"Templates: {', '.join(sorted(known)) or 'none'}. A file's name ends in .yaml; "
        f"the cluster's are {IN_CLUSTER}NAME.",
    )


def of_notebook(namespace: Mapping[str, Any]) -> dict[str, PodTemplate]:
    """Returns the templates among a notebook's variables."""
    return {name: value for name, value in namespace.items()
            if isinstance(value, PodTemplate) and not name.startswith("_")}  # fmt: skip


def saved() -> dict[str, Path]:
    """Returns the files of saved templates by name; the project's come before the user's."""
    found: dict[str, Path] = {}
    for folder in (_project(), _user()):
        for path in sorted(folder.glob("*.y*ml")) if folder else []:
            found.setdefault(path.stem, path)
    return found


def save(name: str, template: PodTemplate, for_user: bool = False, replace: bool = False) -> Path:
    """Saves a template as a core/v1 PodTemplate in YAML, which kubectl takes too.

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
        raise InputError(f"{name!r} is not a name for a template.",
                         "Letters, digits, '-', '_' and '.', at most 63.")  # fmt: skip
    folder = _user() if for_user else _project()
    if folder is None:
        raise InputError("This notebook is in no project: no pyproject.toml, no git repository above.",
                         "Save it for yourself with --user.")  # fmt: skip
    path = folder / f"{name}.yaml"
    whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": name},
             "template": template.to_dict()}  # fmt: skip
    # The name of the primary is part of the pod's metadata, so that it comes back.
    if path.exists() and not replace and PodTemplate.of(path) != PodTemplate.of(whole):
        raise InputError(f"There is a template {name!r} already: {path}",
                         "Choose another name, or replace it with --force.")  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, suffix=".part") as file:
            file.write(yaml.safe_dump(whole, sort_keys=False))
        Path(file.name).replace(path)
    except OSError as error:
        raise InputError(f"Cannot save the template in {folder}: {error.strerror}",
                         "Save it for yourself with --user, or elsewhere with to_yaml().") from None  # fmt: skip
    return path


def for_user() -> bool:
    """Returns whether templates are saved for the user: there is no project here."""
    return _project() is None


def _project() -> Path | None:
    root = project_folder()
    return root / ".podtask" / "templates" if root else None


def _user() -> Path:
    return user_folder() / "templates"
