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
from ..lifecycle.prepare import PreparedCell, prepare, render_cell
from ..lifecycle.start import NewRunner
from ..lifecycle.task import Task
from ..manifest.pod_manifest import PodManifest
from ..pickling.function_call import FunctionCall
from ..pickling.state import restore_state
from .resolve import resolve_options, resolve_template


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
    return _submit(work, args, kwargs, template, options, waits=False)


def _submit(
    work: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    template: Any,
    options: RunOptions | None,
    waits: bool,
) -> Task:
    given = {"template": template} if template is not None else {}
    options = resolve_options(given) if options is None else resolve_template(options.replace(**given))
    if callable(work):
        return submit_call(work, args, kwargs, options, waits)
    if args or kwargs:
        option_names = [name for name in kwargs if name in vars(RunOptions())]
        hint = f"To set an option, use options=RunOptions.of({option_names[0]}=...)." if option_names else ""
        raise InputError(
            "Only a function takes arguments.", hint or "Submit a function, or leave out the arguments."
        )
    cell = Cell.of(work) if isinstance(work, str) else work
    if not isinstance(cell, Cell):
        raise InputError(
            f"An object of type {type(work).__name__} cannot be submitted.",
            "Submit a function, a Cell or source text.",
        )
    return _start(prepare(cell, options, sys.modules["__main__"].__dict__, waits=waits))


def submit_call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: RunOptions,
    waits: bool = False,
) -> Task:
    """Submit one call of a function.

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
    return _start(prepare(function_call.cell, options, function_call.namespace, function_call, waits))


def _start(prepared: PreparedCell) -> Task:
    """Start a task; if it is detached, return once it needs this process no more, or not until its pod has started."""
    task = Task(NewRunner(prepared))
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
    return follow(_submit(work, args, more, template, options, waits=True))


def follow(task: Task) -> Any:
    """Show the output of a task live, and return its result.

    Args:
        task: The task to follow.

    Raises:
        BaseException: The task's own error, or a PodtaskError.
    """
    outcome = Foreground(task, current_screen()).follow()
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
