"""Pod templates by name: of the notebook, saved in the project or for the user, in the cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.options import RunOptions
from ..config.settings import merged
from ..errors import InputError, nearest
from ..event_loop import loop
from ..template.store import of_notebook, saved
from ..template.template import PodTemplate

IN_CLUSTER = "pod-template/"


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
    return resolve_template(RunOptions.of(**merged({**beneath, **given})), namespace)


def resolve_template(chosen: RunOptions, namespace: Mapping[str, Any] | None = None) -> RunOptions:
    """Returns the same options with the template itself where its name stood.

    Raises:
        InputError: there is no such template.
    """
    if not isinstance(chosen.template, str):
        return chosen
    names = sys.modules["__main__"].__dict__ if namespace is None else namespace
    return chosen.replace(template=find(chosen.template, names, chosen))


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


def pod_template(name: str, options: RunOptions) -> PodTemplate:
    """Returns a core/v1 PodTemplate of the namespace.

    Raises:
        PodtaskError: it is not there, may not be read, or there is no cluster.
    """
    return loop().start(_pod_template(name, options)).result()


async def _pod_template(name: str, options: RunOptions) -> PodTemplate:
    # Start-up cost: the client library comes with it, and most templates are not in the cluster.
    from ..cluster.client import ApiError
    from ..cluster.namespace import open_namespace
    from ..cluster.refusals import denied

    api, namespace, where = await open_namespace(options.context, options.namespace)
    try:
        found = await api.request("GET", f"/api/v1/namespaces/{namespace}/podtemplates/{name}")
    except ApiError as error:
        if error.code == 404:
            lists = api.access.kubectl(namespace, "get", "podtemplates")
            raise InputError(
                f"There is no pod template {name!r} in {where}.", f"`{lists}` lists them."
            ) from None
        raise denied(error.code, error.message, "get", "podtemplates", where) from None
    return PodTemplate.of(found)
