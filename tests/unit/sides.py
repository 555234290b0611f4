"""Notebook and session in this process: each has its own ``__main__`` and its own numbers of objects."""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import sys
import tempfile
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any

from podtask.cell.cell import Cell
from podtask.pickling.inputs import pack_inputs
from podtask.pickling.outputs import unpack
from podtask.runner.protocol import ROLE_VALUE
from podtask.runner.reducers import identity
from podtask.runner.worker.changes import InputSnapshot
from podtask.runner.worker.inputs import InputFile, load
from podtask.runner.worker.outputs import ResultWriter, pack_values
from podtask.runner.worker.shared_names import SharedNames
from podtask.sessions.bindings import BindingLog
from podtask.sessions.choice import Choice
from podtask.sessions.shared_values import SharedValues


class Process:
    """A process of Python: its ``__main__`` and its numbers of objects."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.names: dict[str, Any] = self.module.__dict__
        self.names["__builtins__"] = builtins
        self.numbers = identity.ObjectNumbers()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Do what follows as this process would."""
        main, numbers = sys.modules["__main__"], identity.NUMBERS
        sys.modules["__main__"], identity.NUMBERS = self.module, self.numbers
        try:
            yield
        finally:
            sys.modules["__main__"], identity.NUMBERS = main, numbers

    def run(self, tree: ast.Module, bindings: Any = None) -> str:
        """Execute code; return what it prints.

        Args:
            tree: The code.
            bindings: A mapping that takes the names which it binds.
        """
        out = io.StringIO()
        with self.active(), contextlib.redirect_stdout(out):
            exec(compile(tree, "<cell>", "exec"), self.names, bindings)
        return out.getvalue()


class FakeShell:
    """The parts of IPython's shell that a log of bindings needs.

    Args:
        names: The namespace of the notebook.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self.user_ns = names
        self.ast_transformers: list[Any] = []
        self.execution_count = 0
        self.last_execution_result = types.SimpleNamespace(error_in_exec=None)
        self._callbacks: dict[str, list[Callable[[], None]]] = {"pre_execute": [], "post_execute": []}
        self.events = self

    def register(self, event: str, callback: Callable[[], None]) -> None:
        """Register a callback."""
        self._callbacks[event].append(callback)

    def unregister(self, event: str, callback: Callable[[], None]) -> None:
        """Remove a callback."""
        self._callbacks[event].remove(callback)

    def run_cell(self, source: str, process: Process) -> str:
        """Execute a cell as IPython does; return what it prints.

        Raises:
            Exception: The error of the cell.
        """
        self.execution_count += 1
        for callback in self._callbacks["pre_execute"]:
            callback()
        self.last_execution_result.error_in_exec = None
        try:
            tree = ast.parse(source)
            for each in self.ast_transformers:
                tree = each.visit(tree)
            return process.run(tree)
        except Exception as error:
            self.last_execution_result.error_in_exec = error
            raise
        finally:
            for callback in self._callbacks["post_execute"]:
                callback()


class Sides:
    """A notebook and its session.

    Args:
        session_names: Names that the session has from another kernel.
    """

    def __init__(self, session_names: str = "") -> None:
        self.notebook = Process()
        self.session = Process()
        self.shell = FakeShell(self.notebook.names)
        self.log = BindingLog(self.shell)
        self.log.install()
        self.worker = SharedNames(self.session.names)
        self.shared = SharedValues("gpu", self.log, self.notebook.names, is_new=not session_names)
        self.lines: list[str] = []
        self.choice = Choice(0)
        self.rounds = 0
        if session_names:
            self.session.run(ast.parse(session_names))

    def take_over(self) -> None:
        """Let a kernel without a history use the session from now on."""
        self.shared = SharedValues("gpu", self.log, self.notebook.names, is_new=False)

    def here(self, source: str) -> str:
        """Execute a cell of the notebook; return what it prints."""
        return self.shell.run_cell(source, self.notebook)

    def there(
        self,
        source: str,
        outputs: Collection[str] = (),
        ours: Collection[str] = (),
        theirs: Collection[str] = (),
        fresh: Collection[str] = (),
    ) -> str:
        """Execute a cell in the session; return what it prints.

        Raises:
            InputError: A name was set on both sides.
            Exception: The error of the cell.
        """
        self.shell.execution_count += 1
        return self.start(source, outputs, ours, theirs, fresh)()

    @staticmethod
    def cell(source: str) -> Cell:
        """Return a cell of the session."""
        return Cell.of(source)

    def start(
        self,
        source: str,
        outputs: Collection[str] = (),
        ours: Collection[str] = (),
        theirs: Collection[str] = (),
        fresh: Collection[str] = (),
    ) -> Callable[[], str]:
        """Submit a cell to the session; return what executes it and takes its outputs."""
        cell = self.cell(source)
        with self.notebook.active():
            self.choice = choice = self.shared.choose(cell, (), outputs, ours, theirs, fresh)
        self.rounds = 0
        while True:
            self.rounds += 1
            with self.notebook.active():
                inputs = pack_inputs(
                    choice.values,
                    self.notebook.names,
                    cell=cell,
                    kept=choice.unsent,
                    references=choice.references,
                )
            with self.session.active():
                refused = self.worker.compare(choice.about)
            if refused is None:
                break
            self.shared.answer(choice, refused)
        job = {**inputs.about, "shared": choice.about}
        with self.session.active(), tempfile.TemporaryFile() as file:
            file.write(b"".join(inputs.parts))
            file.flush()
            arriving = InputFile(file.fileno(), file.tell(), arrival_fd=-1) if inputs.parts else None
            load(job, arriving, self.session.names, lambda name: None)
            self.worker.note_loaded(choice.about)
            self.worker.begin(ast.parse(source))

        def finish() -> str:
            error: Exception | None = None
            text = ""
            try:
                text = self.session.run(ast.parse(source))
            except Exception as raised:
                error = raised
            with self.session.active():
                about = self.worker.report(error)
                back = self.worker.changed_outputs(outputs)
                returned = self._bring_back(back) if back else {}
            with self.notebook.active():
                self.notebook.names.update(returned)
                self.lines = self.shared.lines_of(choice, about)
                self.shared.note_end(choice, about, list(returned))
            if error is not None:
                raise error
            return text

        return finish

    def _bring_back(self, outputs: Collection[str]) -> dict[str, Any]:
        file = io.BytesIO()
        job = {"outputs": list(outputs), "mode": "pickle"}
        end = pack_values(job, ResultWriter([file]), self.session.names, InputSnapshot({}, ()), [])
        self.worker.note_same(outputs)
        view = memoryview(file.getvalue())
        parts = []
        for size in end["sizes"]:
            parts.append(bytearray(view[:size]))
            view = view[size:]
        with self.notebook.active():
            values = unpack(parts, end["packed"])
        found = zip(end["packed"], values, strict=True)
        return {item["name"]: value for item, value in found if item["role"] == ROLE_VALUE}
