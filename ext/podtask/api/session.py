"""``podtask.session``: run functions and source texts in a process that stays, with its variables."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, final

from ..cell.cell import Cell
from ..config.options import RunOptions
from ..errors import InputError
from ..interrupts import InterruptGuard
from ..lifecycle.task import Task
from ..pickling.exceptions import CallerFrames
from ..pickling.function_call import FunctionCall
from ..sessions import registry
from ..sessions.names import Variable, read_variables
from ..sessions.session import CellLauncher, Session
from .resolve import resolve_options
from .submit import NOTHING_SENT, follow, start

MAX_ANSWER_SECONDS = 0.3  # Tab waits for it
NOTHING = Cell("", "<podtask session>")


@final
class SessionHandle:
    """A session of this kernel; :func:`session` makes it. As a context manager, it ends the session at the end.

    Args:
        session: The session.
        options: Options of what runs in it.
    """

    def __init__(self, session: Session, options: RunOptions) -> None:
        self._session = session
        self._options = options

    def __repr__(self) -> str:
        return repr(self._session)

    def __enter__(self) -> SessionHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def name(self) -> str:
        """Name of the session."""
        return self._session.name

    def run(self, work: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
        """Run a function or a source text in the session, show its output live, and return its result.

        Args:
            work: A callable, or Python source. A source text sees the variables of the session, and gets those of the
                notebook that it reads and the session does not have.
            args: Positional arguments of the callable.
            kwargs: Keyword arguments of the callable.

        Raises:
            BaseException: The work's own error, or a PodtaskError.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            return follow(self._launcher(work, args, kwargs), guard)

    def submit(self, work: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Task:
        """Run a function or a source text in the session after all before it, and return the task's handle at once.

        Args:
            work: As for :meth:`run`.
            args: Positional arguments of the callable.
            kwargs: Keyword arguments of the callable.

        Raises:
            InputError: The work or an argument is wrong; nothing was sent.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            return start(self._launcher(work, args, kwargs), guard)

    def get(self, name: str) -> Any:
        """Return the value of a variable of the session.

        Raises:
            InputError: The session has no such variable.
            PodtaskError: The value cannot be returned.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            options = dataclasses.replace(self._options, outputs=(name,), inputs=())
            launcher = self._session.launcher(NOTHING, options, {})
            outcome = start(launcher, guard).outcome()
            if outcome.error is not None:
                raise outcome.error
            unassigned = outcome.unassigned_error((name,))
            if unassigned is not None:
                raise unassigned
            if name not in outcome.values:
                known = ", ".join(sorted(self._session.names)) or "none"
                raise InputError(f"Session {self.name} has no variable {name!r}.", f"Its variables: {known}.")
            return outcome.values[name]

    def put(self, **values: Any) -> None:
        """Set variables of the session.

        Args:
            values: The values, by name.

        Raises:
            InputError: A value cannot be sent.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            options = dataclasses.replace(self._options, inputs=tuple(values))
            namespace = {**sys.modules["__main__"].__dict__, **values}
            follow(self._session.launcher(NOTHING, options, namespace), guard)

    def names(self) -> list[Variable]:
        """Return the variables of the session, each with its type, size and device. A cell that runs ends before."""
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            return variables_of(self._session, self._options, guard)

    def extend(self, seconds: float) -> None:
        """Let the session live for a time at least, in seconds, although nothing runs in it.

        Raises:
            TaskError: It cannot be reached at the moment.
        """
        self._session.extend(seconds)

    def end(self) -> None:
        """End the session: its pod or process, and all its variables."""
        self._session.end()

    def _launcher(
        self, work: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> CellLauncher:
        session, options = self._session, self._options
        if isinstance(work, str):
            if args or kwargs:
                raise InputError(
                    "Only a function takes arguments.", "Submit a function, or leave out the arguments."
                )
            namespace = sys.modules["__main__"].__dict__
            return session.launcher(Cell.of(work), options, namespace)
        if not callable(work):
            raise InputError(
                f"An object of type {type(work).__name__} cannot be submitted.",
                "Submit a function or source text.",
            )
        call = FunctionCall(work, args, kwargs)
        call.check()
        return session.launcher(call.cell, options, call.namespace, call)


def session(name: str, template: Any = None, *, replace: bool = False, **options: Any) -> SessionHandle:
    """Return the session with a name; its pod starts with the first call that runs in it.

    Args:
        name: Its name, as of ``--session``.
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes.
        replace: Whether to end a session of this name first.
        options: Options as of ``%%podtask``. The session's template and the settings apply to the others.

    Raises:
        InputError: An option is wrong, or the session has another pod.
    """
    given = {**options, "session": name}
    if template is not None:
        given["template"] = template
    if replace:
        given["replace_session"] = True
    with CallerFrames():
        resolved = resolve_options(given)
        found = registry.session_for(resolved, given)
        return SessionHandle(found, registry.cell_options(found, resolved))


def variables_of(session: Session, options: RunOptions, guard: InterruptGuard) -> list[Variable]:
    """Return the variables of a session, once the cells before have ended.

    Args:
        session: The session.
        options: Options of what runs in it.
        guard: Covers the call.

    Raises:
        PodtaskError: The session has ended.
    """
    options = dataclasses.replace(options, inputs=(), outputs=(), session=session.name)
    launcher = session.launcher(NOTHING, options, {}, asks_names=True)
    outcome = start(launcher, guard).outcome()
    if outcome.error is not None:
        raise outcome.error
    return read_variables(launcher.described)


def ask_session(name: str, question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a session to a question about a variable; empty if it is busy, or does not answer in time.

    Args:
        name: Name of the session.
        question: The question; see ``runner.worker.questions``.
    """
    session = next((each for each in registry.open_sessions() if each.name == name), None)
    if session is None or not session.answers_at_once:
        return {}
    options = dataclasses.replace(session.options, inputs=(), outputs=(), session=name)
    with InterruptGuard(NOTHING_SENT) as guard:
        launcher = session.launcher(NOTHING, options, {}, question=question)
        task = start(launcher, guard)
    if not task.wait(MAX_ANSWER_SECONDS):
        task.interrupt()  # a property of the user's may take long; a cell must not wait for it
        return {}
    return launcher.answer
