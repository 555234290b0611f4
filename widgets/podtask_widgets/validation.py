"""Validate a draft: find problems with the paths of their fields, and fields that podtask overwrites. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from podtask.api.check import overwritten_fields
from podtask.api.submit import preview
from podtask.config.options import RunOptions
from podtask.errors import InputError, Problem
from podtask.formatting import abbreviate
from podtask.template.template import PodTemplate, primary_container
from podtask.template.validation import pod_problems, quantity_mistakes, template_problems

from .draft import Draft

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PRIMARY_NAME = "primary_container_name"
RESERVED_PREFIX = "PODTASK_"


@dataclass(frozen=True)
class Validation:
    """The result of validating a draft.

    Args:
        template: The draft as a template; None if it is not one.
        problems: The problems that were found.
        text: The draft as YAML.
        notes: Notes about fields that podtask overwrites, by line number of the YAML from 0.
    """

    template: PodTemplate | None
    problems: tuple[Problem, ...]
    text: str
    notes: dict[int, str]


def validate(draft: Draft) -> Validation:
    """Validate a draft."""
    text = draft.to_yaml()
    missing_names = tuple(_missing_names(draft))
    if missing_names:
        return Validation(None, missing_names, text, {})
    try:
        template = draft.template()
    except InputError as error:
        return Validation(None, (_to_problem(error),), text, {})
    problems = tuple(_problems(template))
    if problems:
        return Validation(template, problems, text, {})
    try:
        pod = preview(RunOptions(template=template)).pod
    except InputError as error:  # only rendering the pod finds this error
        return Validation(template, (_to_problem(error),), text, {})
    return Validation(template, (), text, _notes(text, draft.to_dict(), pod))


def _missing_names(draft: Draft) -> Iterator[Problem]:
    if not draft.primary:
        yield Problem(PRIMARY_NAME, "is empty.", "Enter a name, for example primary.")
    spec = draft.data["spec"]
    for kind in ("containers", "initContainers", "volumes"):
        for index, item in enumerate(_mappings(spec.get(kind))):
            path = f"spec.{kind}[{index}]"
            if not item.get("name"):
                yield Problem(f"{path}.name", "is empty.", "Enter a name.")
            for env_index, variable in enumerate(_mappings(item.get("env"))):
                if not variable.get("name"):
                    yield Problem(f"{path}.env[{env_index}].name", "is empty.", "Enter a name.")


def _problems(template: PodTemplate) -> Iterator[Problem]:
    data = template.to_dict()
    type_problems = list(template_problems(data))
    if type_problems:  # the checks below need values of the right types
        yield from type_problems
        return
    spec = copy.deepcopy(data["spec"])
    try:
        primary = primary_container(spec, template.primary_container_name)
    except InputError as error:
        yield Problem(PRIMARY_NAME, error.message, error.hint)
        return
    primary.setdefault("image", "default")
    yield from quantity_mistakes(spec)
    yield from pod_problems(spec)
    index = next(n for n, each in enumerate(spec["containers"]) if each is primary)
    for env_index, variable in enumerate(_mappings(primary.get("env"))):
        if str(variable.get("name")).startswith(RESERVED_PREFIX):
            yield Problem(
                f"spec.containers[{index}].env[{env_index}].name",
                "is reserved.",
                f"podtask uses names that start with {RESERVED_PREFIX}. Choose another name.",
            )


def _to_problem(error: InputError) -> Problem:
    return Problem("", error.message, error.hint)


def _notes(text: str, template: dict[str, Any], pod: dict[str, Any]) -> dict[int, str]:
    notes = {}
    for line, value in overwritten_fields(yaml.compose(text, Loader=Loader), template, pod).items():
        is_scalar = value is not None and not isinstance(value, (dict, list))
        notes[line] = f"becomes {abbreviate(value)}" if is_scalar else "replaced by podtask"
    return notes


def _mappings(items: Any) -> list[dict[str, Any]]:
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
