"""Validate a draft: find problems with the paths of their fields, and fields that podtask overwrites. Pure."""

from __future__ import annotations

import copy
import re
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
from podtask.template.yaml_writer import dump_yaml

from .draft import Draft

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PRIMARY_NAME = "primary_container_name"
RESERVED_PREFIX = "PODTASK_"
# A registry, a path of lower case letters, a tag and a digest, as the container runtime reads them.
IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9][-a-zA-Z0-9]*)(?:\.[a-zA-Z0-9][-a-zA-Z0-9]*)*(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::\w[-.\w]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?"
)
IMAGE_HINT = "Write it as in docker pull, for example python:3.12-slim or registry.example.org/team/image:1."
MAX_TEXT_CHARS, SHORTENED_CHARS = 500, 24


@dataclass(frozen=True)
class Validation:
    """The result of validating a draft.

    Args:
        template: The draft as a template; None if it is not one.
        problems: The problems that were found.
        text: The draft as YAML.
        notes: Notes about fields that podtask overwrites, by line number of the YAML from 0.
        pod: The pod that a cell gets; None if the template has problems.
    """

    template: PodTemplate | None
    problems: tuple[Problem, ...]
    text: str
    notes: dict[int, str]
    pod: dict[str, Any] | None = None


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
    return Validation(template, (), text, _notes(text, draft.to_dict(), pod), pod)


def pod_to_yaml(pod: dict[str, Any]) -> str:
    """Return a pod as YAML with long texts shortened, such as the program that starts the cell."""
    return dump_yaml(_shortened(pod))


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
        return f"{value[:SHORTENED_CHARS]} ... ({len(value):,} characters)"
    return value


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
    yield from _misspelled_names(spec)
    index = next(n for n, each in enumerate(spec["containers"]) if each is primary)
    for env_index, variable in enumerate(_mappings(primary.get("env"))):
        if str(variable.get("name")).startswith(RESERVED_PREFIX):
            yield Problem(
                f"spec.containers[{index}].env[{env_index}].name",
                "is reserved.",
                f"podtask uses names that start with {RESERVED_PREFIX}. Choose another name.",
            )


def _misspelled_names(spec: dict[str, Any]) -> Iterator[Problem]:
    """Yield the names of images and variables that the API server may accept, but that cannot be right."""
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind, [])):
            path, image = f"spec.{kind}[{index}]", container.get("image", "")
            if image and not IMAGE.fullmatch(image):
                yield Problem(f"{path}.image", f"{image!r} is not the name of an image.", _image_hint(image))
            for env_index, variable in enumerate(container.get("env", [])):
                if any(each.isspace() for each in variable["name"]):
                    yield Problem(
                        f"{path}.env[{env_index}].name",
                        f"{variable['name']!r} contains a blank.",
                        "Use letters, digits and underscores.",
                    )


def _image_hint(image: str) -> str:
    """Return what to write instead of a wrong image name."""
    repaired = re.sub(r"^[a-z]+://", "", image.strip())
    tag = re.search(r"(?::[^/:@]*)?(?:@.*)?$", repaired)
    start = tag.start() if tag else len(repaired)
    for candidate in (repaired, repaired[:start].lower() + repaired[start:]):
        if IMAGE.fullmatch(candidate):
            return f"Did you mean {candidate}?"
    return IMAGE_HINT


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
