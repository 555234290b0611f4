"""The handle of a submitted cell: its state, its result, and methods to control it.

Every method may be called from any thread but that of podtask's event loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, NoReturn

from ..backends.base import Snapshot
from ..config.options import PLAIN
from ..errors import InputError, TaskError, TaskTimeout, ended_by_user
from ..event_loop import clean_up_at_sigterm
from ..formatting import html_card
from ..frontend import running_cell, show_refreshable
from ..interrupts import InterruptGuard, WaitEvent, signals_wake_loop
from ..pickling.exceptions import CallerFrames
from ..runner.durations import exact_duration
from ..runner.safe_text import escape_controls, safe_text
from .follow import TaskFollower
from .interfaces import Launcher
from .outcome import LAST_VALUE, Outcome, UndecodedValues
from .updates import PhaseSpan, UpdateLog, UpdateReader

future_log = logging.getLogger("concurrent.futures")  # where every future logs errors of its callbacks
MAX_SHOWN_LINES = 20  # of the output, in the HTML form of a task
MAX_SHOWN_BYTES = 64 << 10


_tasks: weakref.WeakSet[Task] = weakref.WeakSet()  # all handles of this process
_tasks_lock = threading.Lock()  # any thread may submit a cell
MAX_ENDED_TASKS = 50
MAX_ENDED_OUTPUT_BYTES = 256 << 10  # of each


@dataclass(frozen=True)
class EndedTask:
    """What this kernel still knows of a task that has ended, although nothing refers to its handle.

    Args:
        name: Name of the pod.
        alias: The name given with ``--name``, or the pod's name.
        status: How it has ended.
        seconds: Its duration in seconds.
        ended: When it has ended, in seconds of ``time.monotonic``.
        local: Whether it ran on this machine.
        output: The end of its output.
    """

    name: str
    alias: str
    status: str
    seconds: float
    ended: float
    local: bool
    output: bytes


_ended_tasks: deque[EndedTask] = deque(maxlen=MAX_ENDED_TASKS)


class Task(concurrent.futures.Future[Any]):
    """The handle of a submitted cell: a ``concurrent.futures.Future`` that can also be awaited.

    Args:
        launcher: Starts or finds the runner. The task starts at once.
    """

    stays_here = True  # the search for a part of a value that cannot be pickled stops here
    map_name = ""  # of the map whose worker it is
    own_cell = ""  # the cell that shows the status line of this task while other cells run

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self._cancel_requested = False
        self._callbacks: list[Callable[[Task], object]] = []
        self._callbacks_lock = threading.Lock()
        self._waiting: set[WaitEvent] = set()  # one for each thread that waits for the end
        self._follower = TaskFollower(launcher, self._complete_future)
        with _tasks_lock:
            _tasks.add(self)

    def _complete_future(self, outcome: Outcome) -> None:
        """Set the future's result or exception, for ``as_completed`` and others that wait for futures."""
        if not self.map_name:  # its items have their own output
            output = self.update_log.output(MAX_ENDED_OUTPUT_BYTES)
            _ended_tasks.append(
                EndedTask(
                    self.name,
                    self.called,
                    outcome.status,
                    self.seconds,
                    time.monotonic(),
                    self.local,
                    output,
                )
            )
        for ended in list(self._waiting):
            ended.set()
        error = self._failure(outcome)
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(outcome.result)
        with self._callbacks_lock:
            callbacks, self._callbacks = self._callbacks, []
        if callbacks:
            threading.Thread(
                target=self._call_back, args=(callbacks,), name="podtask-callbacks", daemon=True
            ).start()

    def _call_back(self, callbacks: list[Callable[[Task], object]]) -> None:
        for call in callbacks:
            try:
                call(self)
            except BaseException:  # noqa: BLE001 -- SystemExit, too, must not skip the other callbacks
                future_log.exception("exception calling callback for %r", self)

    def _failure(self, outcome: Outcome) -> BaseException | None:
        if self._cancel_requested and outcome.status == "cancelled":
            return ended_by_user(concurrent.futures.CancelledError, str(outcome.error))
        return outcome.failure

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "the handle of a task can only be used in the notebook.",
            "Call result() in the notebook and use its value in the cell.",
        )

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait_in_loop().__await__()

    async def _wait_in_loop(self) -> Any:
        """Wait in the running event loop. The task goes on when the waiting is cancelled, as by asyncio.timeout()."""
        done = asyncio.wrap_future(self._follower.done)
        try:
            with signals_wake_loop():
                await asyncio.wait({done})
        except asyncio.CancelledError:
            text = f"stopped waiting; {self.called} keeps running."
            raise ended_by_user(asyncio.CancelledError, text) from None
        with CallerFrames():
            return self.result()

    def __repr__(self) -> str:
        name = self.name if self.called == self.name else f"{self.called} ({self.name})"
        return f"<Task {name}: {self.status}>"

    def _repr_html_(self) -> str:
        """Return the status line and the last lines of the output as static HTML."""
        state = f"{self.status} · {exact_duration(self.seconds)}" if self.done() else self.phase
        line = f"{self.called} · {state}"
        shown = self.update_log.output(MAX_SHOWN_BYTES).decode("utf-8", "replace")
        lines = shown.splitlines()[-MAX_SHOWN_LINES:]
        rows = [("pod", escape(self.url)), ("error", escape(str(self.error or "")))]
        return html_card(line, rows, {"output": "\n".join(lines)} if lines else {})

    def _ipython_display_(self) -> None:
        """Show the HTML form, and replace it in the same cell whenever the state changes.

        Show nothing in the cell that submitted the task and shows its status line.
        """
        if self.own_cell and self.own_cell == running_cell():
            return
        refresh = show_refreshable(lambda: {"text/plain": repr(self), "text/html": self._repr_html_()})
        if refresh is not None and not self.done():
            call_soon = self._follower.loop.call_soon  # a listener must not block
            self.update_log.listen(lambda new: call_soon(refresh) if new.kind in ("phase", "done") else None)
            refresh()  # for what has changed before

    # -- state --------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the pod."""
        return self._follower.name

    @property
    def called(self) -> str:
        """The name given with ``--name``, or the pod's name."""
        return self._follower.launcher.options.name or self.name

    @property
    def status(self) -> str:
        """Pending or Running; after the end ok, error, crashed, timeout, terminated, cancelled or failed."""
        return self._follower.status

    @property
    def session(self) -> str:
        """Name of the session in which the cell runs; empty for a pod of its own."""
        return self._follower.launcher.options.session or ""

    @property
    def notifies(self) -> bool:
        """Whether it was submitted with ``--notify`` by this kernel."""
        return self._follower.launcher.options.notify

    @property
    def notification(self) -> str:
        """What a notification says of the ended task; empty if none is due."""
        return self._follower.notification

    @property
    def phase(self) -> str:
        """The current phase, and why the task is in it: ``"Pending: no node has enough memory"``."""
        return str(self._follower.phase)

    @property
    def phase_seconds(self) -> float:
        """Seconds since the current phase began."""
        return time.monotonic() - self._follower.phase_since

    @property
    def start_time_left(self) -> float:
        """Seconds until a task that has not started fails (``--start-timeout``)."""
        return self._follower.start_time_left

    @property
    def where(self) -> str:
        """Pod and container, in words."""
        return self._follower.where

    @property
    def url(self) -> str:
        """Context, namespace and pod, and the kubectl command that shows the pod."""
        return self._follower.url

    @property
    def channel(self) -> str:
        """How the runner is reached: port-forward, exec, batch or local; empty before the pod exists."""
        backend = self._follower.backend
        return backend.transport if backend is not None else ""

    @property
    def is_untrusted(self) -> bool:
        """Whether another notebook's user has submitted the task, and attaching did not trust it."""
        channel = self._follower.channel
        return (
            channel is not None and channel.follows_only and self._follower.launcher.options.results == PLAIN
        )

    @property
    def is_own(self) -> bool:
        """Whether this kernel may end the task: it has submitted it, or it has the owner's secret."""
        if not self._follower.launcher.resumed:
            return True
        return self._follower.channel is not None and not self._follower.channel.follows_only

    @property
    def location(self) -> dict[str, str | None]:
        """The namespace and the context that the task was submitted to; None for the default."""
        options = self._follower.launcher.options
        return {"namespace": options.namespace, "context": options.context}

    @property
    def refused_streams(self) -> dict[str, str]:
        """How streams to the running container were refused, by transport, such as "404 Not Found"."""
        return dict(self._follower.refused_streams)

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices on the template and the options, also those that an earlier cell has shown."""
        return tuple(self._follower.notices)

    @property
    def stuck_sidecars(self) -> dict[str, str]:
        """The sidecars that do not start: name -> cause."""
        return dict(self._follower.stuck_sidecars)

    @property
    def update_log(self) -> UpdateLog:
        """All updates of the task, for any number of subscribers."""
        return self._follower.update_log

    @property
    def manifest(self) -> dict[str, Any]:
        """The pod as it was sent, without the task's key; empty before the pod is created."""
        manifest = self._follower.manifest
        return manifest.without_secrets().pod if manifest is not None else {}

    @property
    def usage(self) -> dict[str, float]:
        """The resources that the cell used; empty until it has ended.

        ``seconds`` of run time and of ``cpu``; peak bytes of memory of the largest ``process``, and
        of the whole ``container`` including its page cache.
        """
        outcome = self._follower.done.result() if self.done() else None
        return {"seconds": outcome.seconds, **outcome.usage} if outcome and outcome.usage else {}

    @functools.cached_property
    def updates(self) -> UpdateReader:
        """All past and future updates, to be read as from a queue; the last one is "done"."""
        return self.update_log.reader()

    @property
    def seconds(self) -> float:
        """Age of the task, or its duration once it has ended."""
        return (self._follower.ended or time.monotonic()) - self._follower.began

    @property
    def local(self) -> bool:
        """Whether the cell runs in a process on this machine."""
        return self._follower.launcher.options.local

    @property
    def steps(self) -> list[tuple[str, float, float]]:
        """All phases so far: (phase, seconds from the submission to its start, its duration)."""
        return [(str(each.phase), each.start, each.seconds) for each in self.phases]

    @property
    def phases(self) -> list[PhaseSpan]:
        """All phases so far, as values; the last one is the current phase."""
        starts = [(phase, since - self._follower.began) for phase, since in self._follower.phases]
        ends = [*(start for _, start in starts[1:]), self.seconds]
        return [
            PhaseSpan(phase, start, max(0.0, end - start))
            for (phase, start), end in zip(starts, ends, strict=True)
        ]

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """The variables that were sent: name -> (name of the type, bytes)."""
        return self._follower.launcher.inputs

    @property
    def shared_values(self) -> str:
        """In a session, one line on which values were sent, and which not, and why; empty for any other task."""
        return self._follower.launcher.shared_values

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of ``-o``; only "auto" for all that the cell sets or changes."""
        return tuple(self._follower.launcher.options.outputs)

    @property
    def plain(self) -> bool:
        """Whether nothing that comes from the pod is unpickled or executed (``--results plain``)."""
        return self._follower.launcher.options.results == PLAIN

    @property
    def values(self) -> dict[str, Any]:
        """The returned variables, by name. Wait for the end of the task."""
        return self.outcome().values

    @property
    def error(self) -> BaseException | None:
        """The exception that :meth:`result` would raise; None while the task runs."""
        return self._failure(self.outcome()) if self.done() else None

    @property
    def raw(self) -> UndecodedValues | None:
        """The values that could not be decoded in this kernel; ``load()`` tries again."""
        return self.outcome().raw

    # -- the future ---------------------------------------------------------------------------------

    def done(self) -> bool:
        """Return whether the task has ended."""
        return self._follower.done.done()

    def running(self) -> bool:
        """Return whether the cell has started and not ended."""
        return self._follower.status == "Running"

    def cancelled(self) -> bool:
        """Return whether the task was ended by :meth:`cancel`."""
        return self._follower.status == "cancelled"

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most ``timeout`` seconds, and return whether the task has ended."""
        state = "is being cancelled" if self._cancel_requested else "keeps running"
        with InterruptGuard(f"stopped waiting; {self.called} {state}."):
            if not self.done():
                self._follower.loop.check_may_wait()
                with clean_up_at_sigterm():
                    self._wait_until_done(timeout)
            return self.done()

    def _wait_until_done(self, timeout: float | None) -> None:
        ended = WaitEvent()
        self._waiting.add(ended)
        try:
            if not self.done():  # it may have ended before
                ended.wait(timeout)
        finally:
            self._waiting.discard(ended)

    def wait_submitted(self) -> None:
        """Wait until the pod has been created, with all that a detached task needs to start without this notebook."""
        if not self.local:
            self._follower.loop.check_may_wait()
            waiting = [WaitEvent()]

            def wake(_: object) -> None:
                for each in waiting:
                    each.set()

            self._follower.submitted.add_done_callback(wake)
            try:
                waiting[0].wait()
            finally:
                waiting.clear()  # a future keeps its callbacks, and an event its sockets

    def outcome(self, timeout: float | None = None) -> Outcome:
        """Wait for the end and return the outcome, which may hold an error of the cell.

        Raises:
            TaskTimeout: The task has not ended within ``timeout`` seconds. It keeps running.
        """
        if not self.wait(timeout):
            raise TaskTimeout(
                f"{self._follower.name} has not ended in {timeout} s. It keeps running.",
                "Wait again, or cancel() it.",
            )
        return self._follower.done.result()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and return the value of the last expression, or what the function returned.

        Raises:
            TaskTimeout: The task has not ended within ``timeout`` seconds.
            CancelledError: The task was ended by :meth:`cancel`.
            BaseException: The cell's own error, or a PodtaskError. KeyboardInterrupt if the task was
                interrupted.
        """
        with CallerFrames():
            outcome = self.outcome(timeout)
            if (error := self._failure(outcome)) is not None:
                raise error
            return outcome.result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return the exception that :meth:`result` would raise.

        Raises:
            TaskTimeout: The task has not ended within ``timeout`` seconds.
            CancelledError: The task was ended by :meth:`cancel`.
        """
        error = self._failure(self.outcome(timeout))
        if isinstance(error, concurrent.futures.CancelledError):
            raise error
        return error

    def add_done_callback(self, call: Callable[[Task], object]) -> None:
        """Call ``call(task)`` when the task ends, in a thread of its own; at once if the task has ended.

        The callbacks of a task run one after the other. They may call any method of any task.
        """
        with self._callbacks_lock:
            if not super().done():
                self._callbacks.append(call)
                return
        super().add_done_callback(call)  # type: ignore[arg-type]  # called here and now

    def assign(self, namespace: dict[str, Any] | None = None) -> list[str]:
        """Wait for the end and assign the returned values to variables of the notebook.

        Args:
            namespace: Mapping to assign them to instead.

        Returns:
            The names of the variables.

        Raises:
            BaseException: The cell's own error, or a PodtaskError. Returned values are assigned
                first.
        """
        with CallerFrames():
            outcome = self.outcome()
            target = sys.modules["__main__"].__dict__ if namespace is None else namespace
            outcome.assign(target)
            names = {name for name, _, _ in outcome.not_returned} - {LAST_VALUE}
            error = outcome.error or outcome.unassigned_error(names)
            if error is not None:
                raise error
            return list(outcome.values)

    # -- the pod ------------------------------------------------------------------------------------

    def logs(self, container: str | None = None) -> str:
        """Return the last 256 MiB of the cell's output so far, or the log of a container of the pod.

        A line says where output was dropped. Control characters are escaped in what another container has written.
        """
        if container is None:
            return self.update_log.output().decode("utf-8", "replace")
        if self._follower.backend is None:
            raise InputError("The pod does not exist yet.", "Try again once it does.")
        text = self._follower.loop.run(self._follower.backend.logs(container))
        manifest = self._follower.manifest
        is_of_cell = manifest is not None and container == manifest.primary and not self.is_untrusted
        return text if is_of_cell else escape_controls(text)

    def read_stacks(self) -> str:
        """Return the stacks of all threads of the running cell, as ``faulthandler`` prints them, without stopping it.

        Raises:
            TaskError: The cell does not run, cannot be reached, or does not answer.
        """
        channel = self._follower.channel
        if channel is None or self.status != "Running":
            raise TaskError(
                f"The cell of {self.called} does not run: {self.status}.", "Try again while it runs."
            )
        text = self._follower.loop.run(channel.read_stacks())
        return check_stacks(text, self.called)

    def why(self) -> str:
        """Return in one line what the pod waits for and what to change, or how the task ended."""
        if self._follower.backend is None or self._follower.done.done():
            return f"{self.status}: {self.error}" if self.error else self.phase
        return safe_text(self._follower.loop.run(self._follower.backend.why()))

    def events(self) -> list[dict[str, Any]]:
        """Return the pod's events as the API server has them, oldest first."""
        backend = self._follower.backend
        return self._follower.loop.run(backend.events()) if backend else []

    def request_snapshot(self) -> concurrent.futures.Future[Snapshot] | None:
        """Request the events so far and the sidecars' last lines; None before the pod exists."""
        backend = self._follower.backend
        return self._follower.loop.start(backend.snapshot()) if backend else None

    # -- control ------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell. A task whose cell has not started is cancelled."""
        self._follower.loop.start(self._follower.interrupt())

    def cancel(self) -> bool:
        """End the task, delete its pod, and wait until the API server has accepted the deletion.

        Returns:
            Whether this call ended the task; False if it had ended before.
        """
        self._follower.loop.check_may_wait()
        if self._follower.launcher.resumed:
            self.wait_submitted()  # its pod is searched for: before it is found, nothing can be deleted
        self.cancel_nowait()
        self.wait()
        self._delete_pod()
        return self.cancelled()

    def cancel_nowait(self) -> None:
        """End the task like :meth:`cancel`, without waiting."""
        self._cancel_requested = self._cancel_requested or not self.done()
        self._follower.loop.call_soon(self._follower.cancelled.set)

    def delete(self) -> None:
        """Delete the pod, also of a finished task. A running task is cancelled first.

        Raises:
            PodtaskError: The pod of a task of another kernel was not found, or its result was fetched before.
        """
        if not self._follower.done.done():
            self.cancel()
        if self._follower.launcher.resumed and self._follower.backend is None:
            error = self._follower.done.result().error
            assert error is not None
            raise error
        self._delete_pod()

    def _delete_pod(self) -> None:
        if self._follower.backend is not None:
            self._follower.loop.run(self._follower.backend.delete())

    def reply(self, answer: dict[str, Any]) -> None:
        """Answer the cell's ``input()``: ``{"value": ...}`` or ``{"eof": True}``."""
        if self._follower.channel is not None:
            self._follower.loop.run(self._follower.channel.reply(answer))

    def reply_nowait(self, answer: dict[str, Any]) -> None:
        """Answer like :meth:`reply`, without waiting until the answer is sent."""
        if self._follower.channel is not None:
            self._follower.loop.start(self._follower.channel.reply(answer))


def all_handles() -> list[Task]:
    """Return the handles of this process, also of tasks that have ended."""
    with _tasks_lock:
        return list(_tasks)


def ended_tasks() -> list[EndedTask]:
    """Return the last tasks of this kernel that have ended, the newest first."""
    return list(reversed(_ended_tasks))


def find_ended_task(name: str) -> EndedTask | None:
    """Return the newest ended task of this kernel with a name; None if there is none.

    Args:
        name: Name of the pod, or the name given with ``--name``.
    """
    return next((each for each in ended_tasks() if name in (each.name, each.alias)), None)


def find_running_task(name: str, given: Mapping[str, Any]) -> Task | None:
    """Return this kernel's handle of a task of its own that has not ended; None if there is none, or several.

    Args:
        name: Name of the pod, or the name given with ``--name``.
        given: Options of the command. A handle has their namespace and context, if they have any.
    """
    found = [
        task
        for task in all_handles()
        if name in (task.name, task.called)
        and not task.done()
        and task.is_own
        and all(given.get(part, place) == place for part, place in task.location.items())
    ]
    return found[0] if len(found) == 1 else None


def check_stacks(text: str, name: str) -> str:
    """Return the stacks of a process.

    Args:
        text: What has arrived of them.
        name: Name of the task or session.

    Raises:
        TaskError: Nothing has arrived.
    """
    if not text:
        raise TaskError(f"The process of {name} does not answer: it is stopped, or has ended.", "Try again.")
    return text
