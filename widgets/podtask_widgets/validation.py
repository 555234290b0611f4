"""What is to be said of a draft: what is wrong, each with its field's path, and what rules change. Pure."""

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
from podtask.template.validation import pod_problems, template_problems

from .draft import Draft

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PRIMARY_NAME = "primary_container_name"
RESERVED = "PODTASK_"


@dataclass(frozen=True)
class Validation:
    """A draft, judged.

    Args:
        template: the draft's; None where it is none.
        problems: what is wrong.
        notices: what the rules overwrite, in words.
        text: its YAML.
        marks: what the rules make of a line, by its number.
    """

    template: PodTemplate | None
    problems: tuple[Problem, ...]
    notices: tuple[str, ...]
    text: str
    marks: dict[int, str]


def judge(draft: Draft) -> Validation:
    """Returns an opinion of a draft."""
    text = draft.to_yaml()
    unnamed = tuple(_unnamed(draft))
    if unnamed:
        return Validation(None, unnamed, (), text, {})
    try:
        template = draft.template()
    except InputError as error:
        return Validation(None, (_problem(error),), (), text, {})
    problems = tuple(_problems(template))
    if problems:
        return Validation(template, problems, (), text, {})
    try:
        manifest = preview(RunOptions(template=template))
    except InputError as error:  # what only the rules know
        return Validation(template, (_problem(error),), (), text, {})
    return Validation(template, (), manifest.notices, text, _marks(text, draft.to_dict(), manifest.pod))


def _unnamed(draft: Draft) -> Iterator[Problem]:
    if not draft.primary:
        yield Problem(PRIMARY_NAME, "is empty.", "Name a container: primary, say.")
    spec = draft.whole["spec"]
    for kind in ("containers", "initContainers", "volumes"):
        for place, item in enumerate(_mappings(spec.get(kind))):
            path = f"spec.{kind}[{place}]"
            if not item.get("name"):
                yield Problem(f"{path}.name", "is empty.", "Give it a name.")
            for number, entry in enumerate(_mappings(item.get("env"))):
                if not entry.get("name"):
                    yield Problem(f"{path}.env[{number}].name", "is empty.", "Name the variable.")


def _problems(template: PodTemplate) -> Iterator[Problem]:
    whole = template.to_dict()
    found = list(template_problems(whole))
    if found:  # the checks of the whole pod take values of the right kinds for granted
        yield from found
        return
    spec = copy.deepcopy(whole["spec"])
    try:
        primary = primary_container(spec, template.primary_container_name)
    except InputError as error:
        yield Problem(PRIMARY_NAME, error.message, error.hint)
        return
    primary.setdefault("image", "default")
    yield from pod_problems(spec)
    place = next(number for number, each in enumerate(spec["containers"]) if each is primary)
    for number, entry in enumerate(_mappings(primary.get("env"))):
        if str(entry.get("name")).startswith(RESERVED):
            yield Problem(
                f"spec.containers[{place}].env[{number}].name",
                "is reserved.",
                f"Names that begin with {RESERVED} are podtask's: choose another.",
            )


def _problem(error: InputError) -> Problem:
    return Problem("", error.message, error.hint)


def _marks(text: str, template: dict[str, Any], pod: dict[str, Any]) -> dict[int, str]:
    marks = {}
    for line, value in overwritten_fields(yaml.compose(text, Loader=Loader), template, pod).items():
        is_scalar = value is not None and not isinstance(value, (dict, list))
        marks[line] = f"becomes {abbreviate(value)}" if is_scalar else "replaced by podtask"
    return marks


def _mappings(items: Any) -> list[dict[str, Any]]:
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
