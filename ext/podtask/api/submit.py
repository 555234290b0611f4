"""Submit, run or render a cell, a source text or a function from Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any

from ..cell.cell import Cell
from ..cell.script_metadata import ScriptMetadata
from ..config.options import RunOptions
from ..display.foreground import Foreground
from ..errors import InputError, did_you_mean
from ..frontend import current_screen
from ..interrupts import InterruptGuard
from ..lifecycle.interfaces import Launcher
from ..lifecycle.prepare import prepare, render_cell
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
        kwargs: Keyword arguments of the callable. With a Cell or source text, options as of ``%%podtask``:
            ``submit("...", image="python:3.12-slim")``.

    Raises:
        InputError: The work, an option or the template is wrong; nothing was sent.
    """
    with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
        return start(_launcher(work, args, kwargs, template, options, waits=False), guard)


def _launcher(
    work: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    template: Any,
    options: RunOptions | None,
    waits: bool,
) -> Launcher:
    """Check and pack a function, a Cell or a source text; return what starts it."""
    given = {"template": template} if template is not None else {}
    if not callable(work):  # a source takes no arguments
        if unknown := [name for name in kwargs if name not in vars(RunOptions())]:
            raise InputError(
                f"Unknown option {unknown[0]!r}.{did_you_mean(unknown[0], vars(RunOptions()))}",
                "Only a function takes arguments; the keywords of a source text are options.",
            )
        given, kwargs = {**given, **kwargs}, {}
    if options is None:
        options = resolve_options(given)
    else:
        defaults = RunOptions()
        changed = [name for name in vars(options) if getattr(options, name) != getattr(defaults, name, None)]
        options = resolve_template(options.replace(**given))
        given = {**dict.fromkeys(changed), **given}
    if callable(work):
        return call_launcher(work, args, kwargs, options, given, waits)
    if args or kwargs:
        raise InputError("Only a function takes arguments.", "Submit a function, or leave out the arguments.")
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
    _refuse_map(options)
    namespace = sys.modules["__main__"].__dict__
    if options.session:
        return session_launcher(cell, options, given, namespace)
    return NewRunner(prepare(cell, options, namespace, waits=waits))


def session_launcher(
    cell: Cell,
    options: RunOptions,
    given: Collection[str],
    namespace: dict[str, Any],
    call: FunctionCall | None = None,
) -> Launcher:
    """Check and pack a cell of a session; return what runs it.

    Args:
        cell: The cell.
        options: Its options, with the name of the session; the template is resolved.
        given: Names of the options that the caller gives itself.
        namespace: The notebook's namespace.
        call: The function call that the cell stands for, if any.

    Raises:
        InputError: An option or an input is wrong, or the session has another pod; nothing was sent.
    """
    # Start-up cost: most cells run without a session.
    from ..sessions import registry

    session = registry.session_for(options, given)
    options = registry.cell_options(session, options)
    return session.launcher(cell, options, namespace, call)


def call_launcher(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: RunOptions,
    given: Collection[str],
    waits: bool = False,
) -> Launcher:
    """Pack one call of a function, and check it; return what starts it.

    Args:
        function: The function to call in a pod.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        options: Options of the run; the template is resolved.
        given: Names of the options that the caller gives itself.
        waits: Whether the caller waits for the result.

    Raises:
        InputError: An option, the template or an argument is wrong; nothing was sent.
    """
    _refuse_map(options)
    function_call = FunctionCall(function, args, kwargs)
    function_call.check()
    cell, namespace = function_call.cell, function_call.namespace
    if options.session:
        return session_launcher(cell, options, given, namespace, function_call)
    return NewRunner(prepare(cell, options, namespace, function_call, waits))


def _refuse_map(options: RunOptions) -> None:
    """Refuse the lists of ``--map``, which belong to a cell of the notebook.

    Raises:
        InputError: There are some.
    """
    if options.mapped:
        raise InputError(
            "mapped= (--map) runs a cell of the notebook for many values.",
            "In Python, call map() or submit_map() of a function with @podtask.task.",
        )


def start(launcher: Launcher, guard: InterruptGuard) -> Task:
    """Start a task that nobody waits for yet. An interrupt in this moment cancels it.

    If it is detached, return once it needs this process no more, or not until its pod has started.

    Args:
        launcher: Starts the prepared cell.
        guard: Covers the submission.
    """
    guard.hold()
    task = Task(launcher)
    guard.end_with(task.cancel_nowait, f"stopped; {task.called} is cancelled.")
    if launcher.options.detach:
        task.wait_submitted()
    return task


def run(work: Callable[..., Any] | Cell | str, *args: Any, **more: Any) -> Any:
    """Run a function, a Cell or a source text in a pod, show its output live, and return its result.

    Args:
        work: A callable, a :class:`Cell`, or Python source.
        args: Positional arguments of the callable.
        more: Keyword arguments of :func:`submit`: ``run("...", image="python:3.12-slim")``.

    Raises:
        BaseException: The work's own error, or a PodtaskError.
    """
    template, options = more.pop("template", None), more.pop("options", None)
    with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
        return follow(_launcher(work, args, more, template, options, waits=True), guard)


def follow(launcher: Launcher, guard: InterruptGuard) -> Any:
    """Run a prepared cell, show its output live, and return its result.

    Args:
        launcher: Starts the prepared cell.
        guard: Covers the call.

    Raises:
        BaseException: The cell's own error, or a PodtaskError.
    """
    guard.hold()
    task = Task(launcher)
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
