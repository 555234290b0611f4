"""Submit, run or render a cell, a source text or a function from Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..cell.cell import Cell
from ..cell.script_metadata import ScriptMetadata
from ..config.options import RunOptions
from ..display.foreground import Foreground
from ..errors import InputError
from ..frontend import current_screen
from ..interrupts import InterruptGuard
from ..lifecycle.prepare import PreparedCell, prepare, render_cell
from ..lifecycle.start import NewRunner
from ..lifecycle.task import Task
from ..manifest.pod_manifest import PodManifest
from ..pickling.exceptions import CallerFrames, hide_own_frames
from ..pickling.function_call import FunctionCall
from ..pickling.state import restore_state
from .resolve import resolve_options, resolve_template

NOTHING_SENT = "stopped; nothing was sent."  # the line of an interrupt before a task exists


def submit(
    work: Any, *args: Any, template: Any = None, options: RunOptions | None = None, **kwargs: Any
) -> Task:
    """Run a function, a Cell or a source text in a pod, and return the task's handle at once.

    With ``detach=True``, return once the pod has all that it needs to run without this process.

    Args:
        work: A callable, a :class:`Cell`, or Python source.
        args: Positional arguments of the callable.
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes.
        options: Options of the run; None for the session's template and the settings.
        kwargs: Keyword arguments of the callable.

    Raises:
        InputError: The work, an option or the template is wrong; nothing was sent.
    """
    with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
        return start(_prepare(work, args, kwargs, template, options, waits=False), guard)


def _prepare(
    work: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    template: Any,
    options: RunOptions | None,
    waits: bool,
) -> PreparedCell:
    given = {"template": template} if template is not None else {}
    options = resolve_options(given) if options is None else resolve_template(options.replace(**given))
    if callable(work):
        return prepare_call(work, args, kwargs, options, waits)
    if args or kwargs:
        option_names = [name for name in kwargs if name in vars(RunOptions())]
        hint = f"To set an option, use options=RunOptions.of({option_names[0]}=...)." if option_names else ""
        raise InputError(
            "Only a function takes arguments.", hint or "Submit a function, or leave out the arguments."
        )
    try:
        cell = Cell.of(work) if isinstance(work, str) else work
    except SyntaxError as error:
        hide_own_frames(error)
        raise
    if not isinstance(cell, Cell):
        raise InputError(
            f"An object of type {type(work).__name__} cannot be submitted.",
            "Submit a function, a Cell or source text.",
        )
    return prepare(cell, options, sys.modules["__main__"].__dict__, waits=waits)


def prepare_call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: RunOptions,
    waits: bool = False,
) -> PreparedCell:
    """Pack one call of a function, and check it.

    Args:
        function: The function to call in a pod.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        options: Options of the run; the template is resolved.
        waits: Whether the caller waits for the result.

    Raises:
        InputError: An option, the template or an argument is wrong; nothing was sent.
    """
    function_call = FunctionCall(function, args, kwargs)
    function_call.check()
    return prepare(function_call.cell, options, function_call.namespace, function_call, waits)


def start(prepared: PreparedCell, guard: InterruptGuard) -> Task:
    """Start a task that nobody waits for yet. An interrupt in this moment cancels it.

    If it is detached, return once it needs this process no more, or not until its pod has started.

    Args:
        prepared: The prepared cell.
        guard: Covers the submission.
    """
    guard.hold()
    task = Task(NewRunner(prepared))
    guard.end_with(task.cancel_nowait, f"stopped; {task.called} is cancelled.")
    if prepared.options.detach:
        task.wait_submitted()
    return task


def run(work: Callable[..., Any] | Cell | str, *args: Any, **more: Any) -> Any:
    """Run a function, a Cell or a source text in a pod, show its output live, and return its result.

    Args:
        work: A callable, a :class:`Cell`, or Python source.
        args: Positional arguments of the callable.
        more: Keyword arguments of :func:`submit`.

    Raises:
        BaseException: The work's own error, or a PodtaskError.
    """
    template, options = more.pop("template", None), more.pop("options", None)
    with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
        return follow(_prepare(work, args, more, template, options, waits=True), guard)


def follow(prepared: PreparedCell, guard: InterruptGuard) -> Any:
    """Run a prepared cell, show its output live, and return its result.

    Args:
        prepared: The prepared cell.
        guard: Covers the call.

    Raises:
        BaseException: The cell's own error, or a PodtaskError.
    """
    guard.hold()
    task = Task(NewRunner(prepared))
    outcome = Foreground(task, current_screen()).follow(guard)
    restore_state(outcome.state)
    if outcome.failure is not None:
        raise outcome.failure
    return outcome.result


def render(work: Any = None, template: Any = None, **options: Any) -> dict[str, Any]:
    """Return the pod that a cell would get, in wire form; nothing is sent.

    Args:
        work: The cell, as a :class:`Cell` or source text. Only its script metadata affects the pod.
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes.
        options: Options as of ``%%podtask``. The session's template and the settings apply to the others.

    Raises:
        InputError: The template or an option is wrong.
    """
    given = {"template": template} if template is not None else {}
    resolved = resolve_options({**given, **options})
    source = work.source if isinstance(work, Cell) else work if isinstance(work, str) else ""
    return preview(resolved, source).pod


def preview(options: RunOptions, source: str = "") -> PodManifest:
    """Return the pod that a cell would get, as :func:`render` does, with the notices of the rules.

    Args:
        options: Options of the cell; the template is resolved.
        source: Source of the cell, whose script metadata may require a version of Python.

    Raises:
        InputError: The template, an option or the script metadata is wrong.
    """
    return render_cell(ScriptMetadata.parse(source), options)
