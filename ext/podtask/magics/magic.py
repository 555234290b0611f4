"""The magics: ``%%podtask`` runs a cell in a pod, ``%podtask`` runs a command."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from ..errors import InputError, PodtaskError
from ..interrupts import InterruptGuard
from .arguments import make_parser, parse_options
from .commands import HELP_FLAGS, ShellState, run, usage
from .current_session import CurrentSession

if TYPE_CHECKING:  # start-up cost: %load_ext loads little, the first cell loads the rest
    from ..cell.cell import Cell
    from ..config.options import RunOptions
    from ..lifecycle.interfaces import Launcher
    from ..lifecycle.outcome import Outcome
    from ..lifecycle.task import Task
    from .dry_run import Preview


@magics_class
class PodtaskMagics(Magics):
    """The magics of podtask in one IPython shell."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.current_session = CurrentSession(shell)
        self._state = ShellState(shell.user_ns, self._follow, self.current_session)

    @cell_magic
    def here(self, line: str, cell: str) -> None:
        """Run the cell in the notebook, also while the notebook is in a session (``%podtask in NAME``)."""
        # An input transformer has made a plain cell of it, unless code has given it to run_cell itself.
        self.shell.run_cell(cell).raise_error()

    @cell_magic
    def podtask(self, line: str, cell: str) -> Preview | Task | list[Any] | None:
        """Run the cell. The help text is replaced below: it is made from the list of options."""
        with InterruptGuard("stopped; nothing was sent.") as guard:  # as in api.submit, which loads more
            return self._run_cell(line, cell, guard)

    def _run_cell(self, line: str, cell: str, guard: InterruptGuard) -> Preview | Task | list[Any] | None:
        shell: Any = self.shell
        if HELP_FLAGS & set(line.split()):
            print(self.podtask.__doc__)
            return None
        given = self._given(line)
        current = self.current_session
        if current.name and given.get("session") == current.name:
            given = {**current.options, **given}
        options = self._options(given)
        parsed = _parse_cell(shell, cell)
        if options.dry_run:
            from .dry_run import Preview  # start-up cost, as below

            return Preview.from_options(options, self._state.last_pod, parsed.source)
        if options.mapped:
            return self._run_map(parsed, options, guard)
        if options.grid or options.first_error:
            flag = "--grid" if options.grid else "--first-error"
            raise UsageError(f"%%podtask: {flag} goes with --map.\nName a list: --map path=paths")
        # Start-up cost: loaded when it is first needed.
        from ..lifecycle.task import Task

        launcher = self._launcher(parsed, options, given)
        guard.hold()
        task = Task(launcher)
        self._state.last_task = shell.user_ns["_task"] = task
        if options.name and options.name.isidentifier():
            shell.user_ns[options.name] = task
        number = len(shell.history_manager.input_hist_raw) - 1  # as in the prompt of the cell
        if options.detach:
            # Start-up cost: loaded when it is first needed.
            from ..display.background import detached_tasks

            guard.end_with(task.cancel_nowait, f"stopped; {task.called} is cancelled.")
            task.add_done_callback(lambda ended: _remember_left_names(ended, ended.outcome(), number))
            detached_tasks().add(task, options.name or "_task")
            task.wait_submitted()
            return task
        self._follow(task, guard, parsed, number)
        return None

    def _run_map(self, cell: Cell, options: RunOptions, guard: InterruptGuard) -> list[Any] | None:
        """Run the cell once for each item of ``--map``; assign the lists of ``-o``, or return that of the last values."""
        from ..display.map_view import MapView  # start-up cost, as above
        from ..display.tracebacks import render_in
        from ..maps.map_task import MapTask
        from ..maps.prepare_map import prepare_cell_map

        shell: Any = self.shell
        prepared = prepare_cell_map(cell, options, shell.user_ns)
        guard.hold()
        task = shell.user_ns["_task"] = MapTask(prepared, options.first_error)
        if options.name and options.name.isidentifier():
            shell.user_ns[options.name] = task
        results = MapView(task).follow(True, guard)
        error = task.first_error if options.first_error else None
        if error is not None:
            if not isinstance(error, PodtaskError):
                render_in(shell, error)
            raise error
        names = options.outputs
        for place, name in enumerate(names):
            values = results
            if len(names) > 1:
                values = [
                    each if index in task.failed_indexes else each[place]
                    for index, each in enumerate(results)
                ]
            shell.user_ns[name] = values
        return None if names or cell.quiet else results

    @line_magic("podtask")
    def command(self, line: str) -> None:
        """Run a command. The help text is replaced below: it is made from the list of commands."""
        with InterruptGuard():
            run(self._state, line)

    command.__doc__ = usage()
    podtask.__doc__ = make_parser().format_help()

    def _follow(self, task: Task, guard: InterruptGuard, cell: Cell | None = None, number: int = 0) -> None:
        from ..display.foreground import Foreground  # start-up cost
        from ..display.view import show_result
        from ..frontend import current_screen
        from ..pickling.state import restore_state

        shell: Any = self.shell
        shell.user_ns["_task"] = task
        screen = current_screen()
        if self.current_session.name and task.session == self.current_session.name:
            screen.begin_with(f"session {task.session}")
        view = Foreground(task, screen, "_task")
        view.shows_result = True
        outcome = view.follow(guard)
        if number:
            _remember_left_names(task, outcome, number)
        restore_state(outcome.state)
        outcome.assign(shell.user_ns)
        guard.release("stopped; the cell had ended.")  # showing a value runs code of its class
        if view.bundle is not None:
            screen.show_mark()
            show_result(shell, view.bundle, outcome)
        view.show_late_displays()
        if outcome.error is not None:
            screen.show_mark()
        _raise_error(shell, task, cell, outcome)

    def _launcher(self, cell: Cell, options: RunOptions, given: dict[str, Any]) -> Launcher:
        shell: Any = self.shell
        if options.session:
            from ..api.submit import session_launcher  # start-up cost

            return session_launcher(cell, options, given, shell.user_ns)
        from ..lifecycle.prepare import prepare  # start-up cost, as above
        from ..lifecycle.start import NewRunner

        return NewRunner(prepare(cell, options, shell.user_ns, waits=not options.detach))

    def _given(self, line: str) -> dict[str, Any]:
        """Return the options in the line of a cell; their values are not parsed yet."""
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise UsageError(
                f"%%podtask: {error} in the line of options.\nClose the quotes, as in a shell."
            ) from None
        return parse_options(words)

    def _options(self, given: dict[str, Any]) -> RunOptions:
        from ..api.resolve import resolve_options  # start-up cost

        return resolve_options(given, self._state.variables)


def show_help_of_empty_cell(lines: list[str]) -> list[str]:
    """Turn ``%%podtask --help`` without a cell into a command: IPython does not call a cell magic without a cell."""
    words = lines[0].split() if len(lines) == 1 else []
    return ["%podtask help %%podtask\n"] if words[:1] == ["%%podtask"] and HELP_FLAGS & set(words) else lines


def _parse_cell(shell: Any, cell: str) -> Cell:
    from ..cell.cell import Cell  # start-up cost

    raw, skip = _whole_cell(shell, cell)
    filename = shell.compile.cache(raw, shell.displayhook.prompt_count)
    try:
        return Cell.of(cell, filename, skip, shell.transform_cell, shell.compile.flags)
    except SyntaxError as error:
        # Start-up cost: loaded when it is first needed.
        from ..display.tracebacks import render_in

        render_in(shell, error.with_traceback(None))
        raise


def _remember_left_names(task: Task, outcome: Outcome, number: int) -> None:
    from ..pickling.hints import remember_left_names  # start-up cost

    where = f"the {'process' if task.local else 'pod'} of cell [{number}]"
    remember_left_names([name for name, _ in outcome.left_in_pod], where, outcome.values)


def hint_at_left_name(result: Any) -> None:
    """Below an error about an unknown name, say which cell has set the name and left it in its pod.

    Args:
        result: IPython's ExecutionResult of the cell.
    """
    error = result.error_in_exec
    if error is None or "podtask.pickling.hints" not in sys.modules:
        return
    from ..frontend import current_screen  # start-up cost
    from ..pickling.hints import left_name_hint, missing_name

    hint = left_name_hint(missing_name(error, ""))
    if hint and hint not in getattr(error, "__notes__", ()):  # a cell in a pod has it in its error
        current_screen().show_line(hint)


def _raise_error(shell: Any, task: Task, cell: Cell | None, outcome: Outcome) -> None:
    from ..display.tracebacks import render_in  # start-up cost

    if outcome.error is not None:
        if not isinstance(outcome.error, PodtaskError) and outcome.status != "cancelled":
            render_in(shell, outcome.error)
        raise outcome.error
    outputs = task.outputs
    # With -o auto, too, an older value must not pass for the cell's.
    unassigned = outcome.unassigned_error(shell.user_ns if outputs == ("auto",) else outputs)
    if unassigned is not None:
        raise unassigned
    if outcome.never_set:
        raise InputError(
            f"-o {', '.join(outcome.never_set)}: the cell did not set this variable.",
            f"Variables that it sets: {', '.join(cell.writes) or 'none'}." if cell else "",
        )


def _whole_cell(shell: Any, cell: str) -> tuple[str, int]:
    """Return the whole text of the notebook's cell, and the number of lines above the magic's body."""
    history = shell.history_manager.input_hist_raw
    raw = str(history[-1]) if history else ""
    body = cell.rstrip("\n")
    if body and raw.rstrip("\n").endswith(body):
        return raw, raw.rstrip("\n")[: -len(body)].count("\n")
    return "%%podtask\n" + cell, 1
