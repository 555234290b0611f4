"""Resolve the options of a call: add the settings, and replace the name of a template by the template.

The name of a template means a variable of the notebook, a template saved in the project or for the user, a
YAML file, or a PodTemplate object in the cluster.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config.options import RunOptions
from ..config.settings import project_notice, read_settings
from ..errors import InputError, did_you_mean
from ..event_loop import loop
from ..template.store import notebook_templates, project_templates, saved_templates
from ..template.template import PodTemplate

CLUSTER_TEMPLATE_PREFIX = "pod-template/"

_session_template: object = None  # a PodTemplate, or a form that holds one
_session_template_name = ""
_session_observers: list[weakref.WeakMethod[Callable[[], None]]] = []


def set_session_template(template: object, name: str = "") -> None:
    """Make a template the default of this session.

    Args:
        template: Anything that ``PodTemplate.of`` takes, or None for no default. If it is a form,
            each cell runs in the template that the form has at that moment.
        name: Name of the template, which the details of each cell that runs in it show.

    Raises:
        InputError: The object does not describe a pod.
    """
    global _session_template, _session_template_name
    stays = template is None or hasattr(template, "template")
    _session_template = template if stays else PodTemplate.of(template)
    _session_template_name = name
    for reference in tuple(_session_observers):
        observer = reference()
        if observer is None:
            _session_observers.remove(reference)
        else:
            observer()


def observe_session_template(observer: Callable[[], None]) -> None:
    """Call a method each time that the default template of this session is set, while its object exists.

    Args:
        observer: A bound method.
    """
    _session_observers.append(weakref.WeakMethod(observer))


def is_session_template(template: object) -> bool:
    """Return whether an object, such as a form, is the default template of this session."""
    return template is not None and template is _session_template


def session_template() -> PodTemplate | None:
    """Return the default template of this session, or None."""
    return None if _session_template is None else PodTemplate.of(_session_template)


def merge_options(given: Mapping[str, Any]) -> RunOptions:
    """Return the options of a call; the session's template and the settings replace missing ones.

    The template stays as it was given: commands that start no pod never look it up.

    Args:
        given: Options of the call.

    Raises:
        InputError: A value is wrong.
    """
    beneath = {"template": _session_template} if _session_template is not None else {}
    given = {**beneath, **given}
    settings = read_settings()
    values = {name: setting.value for name, setting in settings.items()}
    notices = list(project_notice(settings, given))
    if beneath and given["template"] is _session_template and _session_template_name:
        notices.append(f"Template of this session: {_session_template_name}")
    return RunOptions.of(**{**values, **given}).with_notices(*notices)


def resolve_options(given: Mapping[str, Any], namespace: Mapping[str, Any] | None = None) -> RunOptions:
    """Return the options of a call; ``template`` is always a PodTemplate.

    The call comes first, then the session's template, then the settings.

    Args:
        given: Options of the call.
        namespace: Variables of the notebook, among which templates are looked up; None for those of
            ``__main__``.

    Raises:
        InputError: A value is wrong, or the template does not exist.
    """
    is_given = given.get("namespace") is not None  # a setting is less specific than the template
    return _resolve(merge_options(given), namespace, is_given)


def resolve_template(options: RunOptions, namespace: Mapping[str, Any] | None = None) -> RunOptions:
    """Return the same options with a PodTemplate in place of whatever described it.

    Args:
        options: Options with a template in any form: a name, anything that ``PodTemplate.of`` takes,
            or None.
        namespace: Variables of the notebook, among which templates are looked up; None for those of
            ``__main__``.

    Raises:
        InputError: The template does not exist, does not describe a pod, or is for another namespace.
    """
    return _resolve(options, namespace, options.namespace is not None)


def _resolve(options: RunOptions, variables: Mapping[str, Any] | None, is_given: bool) -> RunOptions:
    """Return options with a PodTemplate, and with the namespace that it names.

    Args:
        options: Options with a template in any form.
        variables: Variables of the notebook, among which templates are looked up.
        is_given: Whether the call has chosen the namespace of the options.
    """
    resolved = _with_template(options, variables)
    wanted = PodTemplate.of(resolved.template).namespace
    if not wanted or options.local:
        return resolved
    if is_given and options.namespace != wanted:
        raise InputError(
            f"The template is for namespace {wanted} (its metadata.namespace), and -n says {options.namespace}.",
            "Leave out -n, or remove the template's: template.replace(namespace=None).",
        )
    return resolved.replace(namespace=wanted)


def _with_template(options: RunOptions, namespace: Mapping[str, Any] | None) -> RunOptions:
    given = options.template
    if isinstance(given, str):
        variables = sys.modules["__main__"].__dict__ if namespace is None else namespace
        source = find_source(given, variables, options)
        if isinstance(source, Path) and source in project_templates().values():
            options = options.with_notices(*options.notices, f"Template from {source}")
        template = PodTemplate.of(source)
    else:
        template = PodTemplate() if given is None else PodTemplate.of(given)
    return options.replace(template=template)


def check_options(given: Mapping[str, Any]) -> None:
    """Check options where they are written; a template's name is looked up only when it is used.

    Raises:
        InputError: An option is unknown or wrong.
    """
    template = RunOptions.of(**given).template
    if template is not None and not isinstance(template, str):
        PodTemplate.of(template)


def find_template(name: str, namespace: Mapping[str, Any], options: RunOptions) -> PodTemplate:
    """Return the pod template with a name.

    Args:
        name: A variable, a saved template, a file, ``pod-template/NAME`` of the cluster, or YAML text.
        namespace: Variables of the notebook.
        options: Context and namespace of the cluster.

    Raises:
        InputError: The template does not exist, or does not describe a pod.
    """
    return PodTemplate.of(find_source(name, namespace, options))


def find_source(name: str, namespace: Mapping[str, Any], options: RunOptions) -> object:
    """Return the object that a template's name refers to, in any form that ``PodTemplate.of`` takes.

    Args:
        name: A variable, a saved template, a file, ``pod-template/NAME`` of the cluster, or YAML text.
        namespace: Variables of the notebook.
        options: Context and namespace of the cluster.

    Raises:
        InputError: The template does not exist. The message lists the existing ones.
    """
    if name in namespace:
        return namespace[name]
    if name.startswith(CLUSTER_TEMPLATE_PREFIX):
        return loop().run(_read_from_cluster(name.removeprefix(CLUSTER_TEMPLATE_PREFIX), options))
    if "\n" in name:
        return name
    if name.endswith((".yaml", ".yml")) or os.sep in name:
        return Path(name)
    saved = saved_templates()
    if name in saved:
        return saved[name]
    known = [*notebook_templates(namespace), *saved]
    raise InputError(
        f"Pod template {name!r} not found in this notebook or among the saved templates.{did_you_mean(name, known)}",
        f"Templates: {', '.join(sorted(known)) or 'none'}. A file's name ends in .yaml; "
        f"the cluster's are {CLUSTER_TEMPLATE_PREFIX}NAME.",
    )


async def _read_from_cluster(name: str, options: RunOptions) -> dict[str, Any]:
    """Return a core/v1 PodTemplate of the namespace, without the metadata of the object itself.

    Raises:
        PodtaskError: It does not exist, it may not be read, or there is no cluster.
    """
    # Start-up cost: the client library comes with it, and most templates are not in the cluster.
    from ..cluster.namespace import open_namespace
    from ..cluster.refusals import RequestDenied

    ns = await open_namespace(options.context, options.namespace)
    try:
        return {"kind": "PodTemplate", "template": (await ns.pod_templates.get(name))["template"]}
    except RequestDenied as error:
        if error.code == 404:
            raise InputError(
                f"Pod template {name!r} not found in {ns.where}.",
                f"`{ns.kubectl('get', 'podtemplates')}` lists them.",
            ) from None
        raise
