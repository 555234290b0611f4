"""From Python: a cell, a source text or a function is submitted, run, or only rendered."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..cell.cell import Cell
from ..cell.script_metadata import Script
from ..config.options import RunOptions
from ..display.foreground import Foreground
from ..errors import InputError
from ..frontend import screen
from ..lifecycle.prepare import prepare, render_cell
from ..lifecycle.start import NewRunner
from ..lifecycle.task import Task
from ..manifest.pod_manifest import PodManifest
from ..pickling.function_call import FunctionCall
from .resolve import resolve_options, resolve_template


def submit(
    work: Any, *args: Any, template: Any = None, options: RunOptions | None = None, **kwargs: Any
) -> Task:
    """Submits a function (with its arguments), a Cell or a source text; returns its handle at once.

    Args:
        work: a callable, a :class:`Cell`, or Python source.
        args: positional arguments of a callable.
        template: pod template, by its name or in any form that ``PodTemplate.of`` takes.
        options: how to run it; None for the settings.
        kwargs: keyword arguments of a callable.

    Raises:
        InputError: before anything is sent; says what is wrong.
    """
    given = {"template": template} if template is not None else {}
    options = resolve_options(given) if options is None else resolve_template(options.replace(**given))
    if callable(work):
        return call(work, args, kwargs, options)
    if args or kwargs:
        meant = [name for name in kwargs if name in vars(RunOptions())]
        does = f"For an option give options=RunOptions.of({meant[0]}=...)." if meant else ""
        raise InputError("Arguments go with a function only.", does or "Submit a callable, or no arguments.")
    cell = Cell.of(work) if isinstance(work, str) else work
    if not isinstance(cell, Cell):
        raise InputError(
            f"An object of type {type(work).__name__} cannot be submitted.",
            "Submit a function or source text.",
        )
    return Task(NewRunner(prepare(cell, options, sys.modules["__main__"].__dict__)))


def call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: RunOptions
) -> Task:
    """Submits one call of a function.

    Raises:
        InputError: before anything is sent; says what is wrong.
    """
    made = FunctionCall(function, args, kwargs)
    made.check()
    return Task(NewRunner(prepare(made.cell, options, made.namespace, made)))


def run(work: Callable[..., Any] | Cell | str, *args: Any, **more: Any) -> Any:
    """Submits work, shows its output as it comes, and returns its result; see :func:`submit`.

    Raises:
        BaseException: the work's own error, or a PodtaskError.
    """
    return follow(submit(work, *args, **more))


def follow(task: Task) -> Any:
    """Shows a task's output as it comes, and returns its result.

    Raises:
        BaseException: the task's own error, or a PodtaskError.
    """
    outcome = Foreground(task, screen()).follow()
    if outcome.failure is not None:
        raise outcome.failure
    return outcome.result


def render(work: Any = None, template: Any = None, **options: Any) -> dict[str, Any]:
    """Returns the pod that a cell would get, in wire form; nothing is sent.

    Args:
        work: the cell; of what it says only its script metadata has an influence on the pod.
        template: pod template, by its name or in any form that ``PodTemplate.of`` takes.
        options: as of the magic; the settings beneath them.

    Raises:
        InputError: the template or an option is wrong.
    """
    given = {"template": template} if template is not None else {}
    chosen = resolve_options({**given, **options})
    source = work.source if isinstance(work, Cell) else work if isinstance(work, str) else ""
    return preview(chosen, source).pod


def preview(options: RunOptions, source: str = "") -> PodManifest:
    """Return the pod that a cell would get, as :func:`render` does, with the notices of the rules.

    Args:
        options: Options of the cell; the template is resolved.
        source: Source of the cell, whose script metadata may require a version of Python.

    Raises:
        InputError: The template, an option or the script metadata is wrong.
    """
    return render_cell(Script.of(source), options)
