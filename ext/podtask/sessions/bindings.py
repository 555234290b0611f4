"""The names that the notebook's own cells bind, and the order in which cells bind names on both sides."""

from __future__ import annotations

import ast
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from IPython.core.getipython import get_ipython

from ..runner.bound_names import BindingStatements, failed_line

log = logging.getLogger(__name__)
_log: BindingLog | None = None
MAGIC_CALLS = ("run_cell_magic", "run_line_magic")


class ProgramShell:
    """Stands for IPython's shell in a program without one: it has variables, and no cells."""

    execution_count = 0
    last_execution_result = None

    def __init__(self) -> None:
        self.user_ns = sys.modules["__main__"].__dict__


def notebook_log() -> BindingLog:
    """Return the log of this notebook, which follows its cells from the first call on."""
    global _log
    shell = get_ipython() or ProgramShell()
    if _log is None or _log.shell_names is not shell.user_ns:
        stop_log()
        _log = BindingLog(shell)
        _log.install()
    return _log


def stop_log() -> None:
    """Follow no further cells."""
    global _log
    if _log is not None:
        _log.remove()
    _log = None


@dataclass
class _RunningCell:
    """A cell that IPython executes.

    Args:
        order: Its place in the order of cells.
        statements: What it may bind.
    """

    order: int
    statements: BindingStatements


@dataclass
class _ShellRun:
    """One call of ``run_cell``; a cell magic may compile more code in it.

    Args:
        cells: The code that has been compiled in it.
    """

    cells: list[_RunningCell] = field(default_factory=list)


class BindingLog:
    """Notes which names the notebook's cells bind; an entry of IPython's ``ast_transformers``.

    It changes no cell. Threads, callbacks and ``globals()[...] =`` after a cell has ended are not seen: the stamps of
    values show these changes.

    Args:
        shell: The IPython shell.

    Attributes:
        order: Place of the last cell in the order of cells, of the notebook and of its sessions.
        plain_order: Place of the last cell that the notebook itself executed.
        between_cells: Functions that are called in the user's thread before and after each cell of the notebook.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._bound: dict[str, int] = {}
        self._runs: list[_ShellRun] = []
        self._known_threads = set(threading.enumerate())
        self.order = 0
        self.plain_order = 0
        self.between_cells: list[Callable[[], None]] = []

    @property
    def shell_names(self) -> dict[str, Any]:
        """The namespace of the notebook."""
        return self._shell.user_ns  # type: ignore[no-any-return]

    def install(self) -> None:
        """Follow the cells that IPython executes from now on."""
        if isinstance(self._shell, ProgramShell):
            return
        self._shell.ast_transformers.append(self)
        self._shell.events.register("pre_execute", self._begin_run)
        self._shell.events.register("post_execute", self._end_run)

    def remove(self) -> None:
        """Follow no further cells."""
        if isinstance(self._shell, ProgramShell):
            return
        if self in self._shell.ast_transformers:  # IPython removes one that has failed
            self._shell.ast_transformers.remove(self)
        self._shell.events.unregister("pre_execute", self._begin_run)
        self._shell.events.unregister("post_execute", self._end_run)

    def next_order(self) -> int:
        """Return the place of a cell that is submitted to a session now."""
        self.order += 1
        if isinstance(self._shell, ProgramShell):
            self.plain_order = self.order  # anything may have run since the last one
        return self.order

    @property
    def cell_label(self) -> str:
        """The cell that is executed now, as the user knows it: ``In [12]``."""
        return f"In [{self._shell.execution_count}]"

    def last_bound(self, name: str) -> int:
        """Return the place of the last cell of the notebook that bound a name, 0 if none has."""
        for run in self._runs:  # the cell that asks, and those around it: they have not ended
            self._note_run(run, 0)
        return self._bound.get(name, 0)

    def has_other_threads(self) -> bool:
        """Return whether a thread runs that a cell has started, and that may change values at any time."""
        own = {each for each in threading.enumerate() if not each.name.startswith("podtask")}
        return bool(own - self._known_threads - {threading.current_thread()})

    def visit(self, tree: ast.AST) -> ast.AST:
        """Note what a cell binds; return it as it is. IPython calls this before it executes the cell."""
        try:
            if not _calls_podtask(tree):
                self.order += 1
                self.plain_order = self.order
                cell = _RunningCell(self.order, BindingStatements(tree, self._shell.user_ns))
                if not self._runs:
                    self._runs.append(_ShellRun())
                self._runs[-1].cells.append(cell)
        except Exception:  # a cell must run, whatever is wrong here
            log.exception("the names of a cell were not noted")
        return tree

    def _begin_run(self) -> None:
        self._call_between()
        self._runs.append(_ShellRun())

    def _end_run(self) -> None:
        if self._runs:
            result = getattr(self._shell, "last_execution_result", None)
            error = getattr(result, "error_in_exec", None)
            self._note_run(self._runs.pop(), failed_line(error, self._shell.user_ns))
        self._call_between()

    def _call_between(self) -> None:
        for each in [*self.between_cells]:
            each()

    def _note_run(self, run: _ShellRun, line: int | None) -> None:
        for cell in run.cells:
            for name in cell.statements.names_after(self._shell.user_ns, line).bound:
                self._bound[name] = max(cell.order, self._bound.get(name, 0))


def _calls_podtask(tree: Any) -> bool:
    """Return whether a cell is a single magic of podtask, which binds nothing by itself."""
    body = getattr(tree, "body", None)
    if not isinstance(body, list) or len(body) != 1 or not isinstance(body[0], ast.Expr):
        return False
    call = body[0].value
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in MAGIC_CALLS
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value == "podtask"
    )
