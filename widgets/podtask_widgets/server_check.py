"""Check a template by a dry run on the API server, and assign its errors to fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from podtask.api.check import ServerDryRun, server_dry_run
from podtask.api.resolve import resolve_options
from podtask.api.submit import preview
from podtask.errors import InputError, Problem
from podtask.template.template import PodTemplate

from .background import run_in_background

FIELD_ERROR = re.compile(
    r"^\s*(?P<path>spec[\w.\[\]/-]*|metadata[\w.\[\]/-]*): (?P<message>.+)$", re.MULTILINE
)


@dataclass(frozen=True)
class ServerAnswer:
    """The API server's answer.

    Args:
        message: The answer as a sentence for the user.
        accepted: Whether the server accepts the pod with all its fields.
        problems: Problems, with the paths of the fields in the pod; only those for which the server names a field.
    """

    message: str
    accepted: bool
    problems: tuple[Problem, ...] = ()


def check_on_server(template: PodTemplate, on_answer: Callable[[ServerAnswer], None]) -> None:
    """Start a dry run of a template's pod and return at once; nothing is created.

    Args:
        template: Template to check; the options of this session's cells are applied to it.
        on_answer: Called with the answer, in another thread.
    """
    try:
        chosen = resolve_options({"template": template})
        pod = preview(chosen).pod
    except InputError as error:
        on_answer(ServerAnswer(str(error), accepted=False))
        return
    if chosen.local:
        message = "Cells run on this machine, so there is no API server to check with."
        on_answer(ServerAnswer(message, accepted=True))
        return
    run_in_background(
        server_dry_run(pod, chosen),
        lambda result: on_answer(_accepted(result)),
        lambda message: on_answer(_rejected(message)),
    )


def _rejected(message: str) -> ServerAnswer:
    matches = FIELD_ERROR.finditer(message)
    problems = tuple(Problem(match["path"], match["message"], "") for match in matches)
    return ServerAnswer(message, accepted=False, problems=problems)


def _accepted(result: ServerDryRun) -> ServerAnswer:
    message = f"The API server accepts this pod in namespace {result.namespace}"
    if result.dropped_fields:
        return ServerAnswer(
            f"{message}, but drops: {', '.join(result.dropped_fields)}.",
            accepted=False,
            problems=tuple(
                Problem(path, "is dropped by the API server.", "") for path in result.dropped_fields
            ),
        )
    return ServerAnswer(f"{message}.", accepted=True)
