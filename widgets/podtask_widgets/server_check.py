"""What the API server thinks of a template: its dry run, with problems at their fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from podtask.api.check import server_dry_run
from podtask.api.resolve import resolve_options
from podtask.api.submit import preview
from podtask.errors import InputError, PodtaskError, Problem
from podtask.event_loop import loop
from podtask.template.template import PodTemplate

FIELD = re.compile(r"^\s*(?P<path>spec[\w.\[\]/-]*|metadata[\w.\[\]/-]*): (?P<what>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class ServerAnswer:
    """What it says.

    Args:
        text: in words.
        good: whether it takes the pod, whole.
        problems: with the paths of their fields in the pod, where it names them.
    """

    text: str
    good: bool
    problems: tuple[Problem, ...] = ()


def check(template: PodTemplate, done: Callable[[ServerAnswer], None]) -> None:
    """Asks the API server; nothing is created, and nobody waits.

    Args:
        template: to be checked, with the options that this session's cells have.
        done: called with what it says, in another thread.
    """
    try:
        chosen = resolve_options({"template": template})
        pod = preview(chosen).pod
    except InputError as error:
        done(ServerAnswer(str(error), good=False))
        return
    if chosen.local:
        done(ServerAnswer("Cells run on this machine (local): there is no API server to ask.", good=True))
        return

    def ended() -> None:
        try:
            result = asked.result()
        except PodtaskError as error:
            found = tuple(Problem(each["path"], each["what"], "") for each in FIELD.finditer(str(error)))
            done(ServerAnswer(str(error), good=False, problems=found))
            return
        lost = result.dropped_fields
        where = f"The API server accepts this pod in namespace {result.namespace}"
        if lost:
            done(
                ServerAnswer(
                    f"{where}, but drops: {', '.join(lost)}.",
                    good=False,
                    problems=tuple(Problem(path, "is dropped by the API server.", "") for path in lost),
                )
            )
        else:
            done(ServerAnswer(f"{where}.", good=True))

    asked = loop().start(server_dry_run(pod, chosen))
    asked.add_done_callback(lambda _: ended())
