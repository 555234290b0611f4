"""A session of this kernel: its runner, what is known of its variables, and the launcher of its cells."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..backends.base import (
    Backend,
    ByteStream,
    Phase,
    Snapshot,
    StopReason,
    Termination,
)
from ..cell.cell import Cell
from ..channel.channel import TakenOver
from ..channel.job import Job, RunnerResult
from ..channel.session_channel import CellChannel, SessionChannel, Turn
from ..config.options import BATCH, RunOptions
from ..errors import InputError, NoStream, PodtaskError, TaskError
from ..event_loop import ignore_result, loop
from ..lifecycle.interfaces import StartedRunner, TaskListener
from ..lifecycle.prepare import PreparedCell, SelectedInputs, prepare
from ..lifecycle.task import check_stacks
from ..manifest.pod_manifest import PodManifest
from ..manifest.session_pod import SessionRecord, plain_value
from ..pickling.function_call import FunctionCall
from ..pickling.state import NO_STATE
from ..runner import protocol
from ..runner.safe_text import safe_text
from .bindings import notebook_log
from .choice import Choice
from .listener import SessionListener
from .shared_values import SharedValues
from .start import SessionExists, SessionStart

if TYPE_CHECKING:
    from ..manage.session_pods import SessionPod

log = logging.getLogger(__name__)
T = TypeVar("T")
IDLE_SECONDS, GPU_IDLE_SECONDS = 1800.0, 600.0
# Options that shape the pod of a session; its later cells take them from the first.
PLACE_OPTIONS = ("namespace", "context", "local", "channel")  # they may differ between kernels
POD_OPTIONS = (
    *("template", "image", "cpu", "memory", "limits", "gpu", "gpu_key", "shm", "primary", "python"),
    *("entrypoint", "keep_probes", "queue", "restricted", "idle"),
    *PLACE_OPTIONS,
)
OTHER_STARTED = (
    "Another kernel has just started session {name}; this cell runs in it. Where it and the notebook have a variable, "
    "its own counts."
)
MAX_LAST_VALUE_BYTES = 256 << 10  # a larger value of a last expression stays in the session
MAX_SHOWN_NAMES = 10
WAITING = Phase("Waiting", "for the cell before it in this session", waiting=True)


class Session:
    """A session: a runner that stays, in which cells run one after another.

    Args:
        name: The user's name for it.
        options: The options of its first cell; the template is resolved.
        note: A line for the first cell; empty for none.
        found: Its pod, if another kernel has started it.
        newest_uid: UID of its newest pod, which has ended; empty if there is none.

    Attributes:
        names: The names of its variables, as of the end of the last cell.
        ended: Why it has ended; empty while it goes on.
        memory: Bytes that its container or local process used when the last cell ended; None if unknown.
        memory_limit: Limit of that in bytes; None if there is none, or if unknown.
        is_race_lost: Whether another kernel has started it while the first cell of this one was on its way.
    """

    def __init__(
        self,
        name: str,
        options: RunOptions,
        note: str = "",
        found: SessionPod | None = None,
        newest_uid: str = "",
    ) -> None:
        if options.channel == BATCH:
            raise InputError(
                "A session needs a connection to its pod, and batch mode has none.",
                "Leave out --channel batch. The Role needs pods/portforward or pods/exec (get and create).",
            )
        self.name = name
        self.options = options
        self.names: frozenset[str] = frozenset()
        self.ended = ""
        self.memory: int | None = None
        self.memory_limit: int | None = None
        self.is_race_lost = False
        self.state: dict[str, Any] = {}  # meta of the last SESSION frame
        self._note = note  # a line for the next cell
        self._process_lost = threading.Event()
        self._idle_since = time.monotonic()
        self._extended_until = 0.0
        self._found = found
        self._newest_uid = newest_uid
        self._rendered: PodManifest | None = found.pod if found else None  # by its first cell
        self._number = 0  # of the process that is known; 0 before the first cell has ended
        # Whether the state of the notebook's libraries was sent to the process, or it has its own.
        self._has_state = found is not None
        log = notebook_log()
        self._shared = SharedValues(name, log, log.shell_names, is_new=found is None)
        self._log = log
        log.between_cells.append(self.update_shared)
        self._updates: deque[Callable[[], object]] = deque()  # of what is shared, for the user's thread
        self._listener = SessionListener()
        self._last_turn: Turn | None = None
        self._starting: asyncio.Task[_Runner] | None = None
        self._runner: _Runner | None = None

    def __repr__(self) -> str:
        return f"<Session {self.name}: {self.ended or 'open'}>"

    @property
    def manifest(self) -> PodManifest | None:
        """Its pod; None before its first cell."""
        return self._rendered

    @property
    def pod_options(self) -> dict[str, Any]:
        """The options of its first cell that shape the pod, as plain values."""
        own = {name: plain_value(getattr(self.options, name)) for name in POD_OPTIONS}
        record = self._found.pod.session_record if self._found else None
        if record is None:
            return own
        return {**record.options, **{name: own[name] for name in PLACE_OPTIONS}}

    @property
    def task_name(self) -> str:
        """Name of its pod or process; empty before it exists."""
        return self._runner.manifest.task if self._runner is not None else ""

    @property
    def where(self) -> str:
        """The session and its pod in words, for the last line of an error."""
        return f"session {self.name}" + (f" ({self._runner.where})" if self._runner is not None else "")

    @property
    def is_busy(self) -> bool:
        """Whether a cell runs in it, or waits for its turn."""
        return self._runner is not None and self._runner.channel.is_busy

    @property
    def answers_at_once(self) -> bool:
        """Whether it is idle and connected, so that a question is answered in a moment."""
        has_begun = self._runner is not None and self._number and not self.ended and not self._note
        return bool(has_begun and self._runner is not None and self._runner.channel.is_idle)

    @property
    def location(self) -> str:
        """Its pod, or the process on this machine; "not started" before its first cell."""
        if self._runner is None:
            return "not started"
        return self._runner.backend.url if self.options.local else f"pod {self.task_name}"

    @property
    def idle_seconds_left(self) -> float | None:
        """Seconds after which it ends without a cell; None before its first cell, and while one runs."""
        if self._runner is None or self.is_busy:
            return None
        until = max(self._idle_since + self._runner.idle_seconds, self._extended_until)
        return max(0.0, until - time.monotonic())

    @property
    def python(self) -> str:
        """Version of its Python; empty before it is known."""
        return self._runner.channel.python if self._runner is not None else ""

    # -- in the thread of the user -----------------------------------------------------------------

    def launcher(
        self,
        cell: Cell,
        options: RunOptions,
        namespace: dict[str, Any],
        call: FunctionCall | None = None,
        asks_names: bool = False,
        question: dict[str, Any] | None = None,
    ) -> CellLauncher:
        """Check a cell, pack what it takes from the notebook (what was set there last), and return what runs it.

        Args:
            cell: The cell.
            options: Its options.
            namespace: The notebook's namespace.
            call: The function call that the cell stands for, if any.
            asks_names: Whether the result lists the variables of the session.
            question: A question about a variable; see ``runner.worker.questions``.

        Raises:
            InputError: An option or an input is wrong, or a name was set on both sides.
        """
        self.update_shared()
        number = self._number  # of the process that has the names
        shared = self._shared
        chosen: list[Choice] = []

        def choose(values: dict[str, Any]) -> SelectedInputs:
            if call is not None or namespace is not shared.namespace:
                choice = shared.choose_for_values(values)
            else:
                ours, outputs = options.inputs or (), options.outputs
                theirs, fresh = options.theirs, options.fresh
                choice = shared.choose(cell, tuple(values), outputs, ours, theirs, fresh)
            chosen.append(choice)
            return _selected(choice)

        with_state, self._has_state = not self._has_state, True
        try:
            prepared = prepare(cell, options, namespace, call, True, choose, with_state, self._rendered)
        except BaseException:  # raised again: also a stopped cell takes nothing
            for choice in chosen:
                shared.cancel(choice)
            raise
        self._rendered = prepared.manifest
        return CellLauncher(self, prepared, chosen[0], number, asks_names, question)

    def update_shared(self) -> None:
        """Note what the cells that have ended did to the names that notebook and session share."""
        while self._updates:
            self._updates.popleft()()

    def check_connection(self) -> None:
        """End the session if its connection has failed for good, such as without the right to streams."""
        failure = self._runner.channel.failure if self._runner is not None else None
        if failure is not None and not self.ended:
            self.ended = (failure.message if isinstance(failure, PodtaskError) else str(failure)).rstrip(".")
            loop().run(self._end())

    def share_history(self, before: Session) -> None:
        """Let what the notebook has set since it had this session before count as later than what the session has.

        Args:
            before: The session, as this kernel had it until another one took it over.
        """
        self._shared.began = before.last_order

    @property
    def last_order(self) -> int:
        """Place of the last cell of this session in the order of cells."""
        return self._shared.last_order

    def end(self) -> None:
        """End the session: its pod or process, and all variables in it."""
        loop().run(self.end_now())

    def wait_until_ended(self) -> None:
        """Wait until it has ended and its pod or process is gone."""
        loop().run(self._wait_until_ended())

    @contextlib.contextmanager
    def until_process_ends(self) -> Iterator[None]:
        """Wait at the end of the block until the runner has reported the end of the process that runs now."""
        lost, self._process_lost = self._process_lost, threading.Event()
        lost.set()
        yield
        self._process_lost.wait()

    def extend(self, seconds: float) -> None:
        """Let it live for a time at least, although no cell runs.

        Raises:
            TaskError: It cannot be reached at the moment.
        """
        loop().run(self._extend(seconds))

    def read_stacks(self) -> str:
        """Return the stacks of all threads of the session, as ``faulthandler`` prints them, without stopping its cell.

        Raises:
            TaskError: It has not started, cannot be reached, or does not answer.
        """
        if self._runner is None:
            raise TaskError(f"Session {self.name} has not started.", "Run a cell in it.")
        return check_stacks(loop().run(self._runner.channel.read_stacks()), f"session {self.name}")

    # -- in the event loop -------------------------------------------------------------------------

    async def end_now(self) -> None:
        """End the session: its pod or process, and all variables in it."""
        self.ended = self.ended or "it was ended"
        await self._end()

    def next_turn(self) -> Turn:
        """Return the turn of the next cell, in the order of submission."""
        self._last_turn = Turn(self._last_turn)
        return self._last_turn

    async def open(self, prepared: PreparedCell, listener: TaskListener) -> _Runner:
        """Return the runner; start it with the first cell.

        Raises:
            PodtaskError: It cannot be started.
        """
        if self._note:
            listener.on_note(self._note)
            self._note = ""
        if self._starting is None:
            self._listener.cell = listener
            self._starting = asyncio.ensure_future(self._start(prepared))
            ignore_result(self._starting)
        return await asyncio.shield(self._starting)

    def answer(self, choice: Choice, end: dict[str, Any]) -> SelectedInputs:
        """Return what is sent to a session that has not run a cell, because it needs more values.

        Raises:
            InputError: A name was set on both sides.
        """
        self._shared.answer(choice, choice.read_report(end["shared"]))
        return _selected(choice)

    def leave_to_session(self, choice: Choice, ours: Collection[str]) -> SelectedInputs:
        """Return what is sent to a session that another kernel has started, although a new one was expected.

        Args:
            choice: What was chosen for a new session.
            ours: Names whose value in the notebook counts.
        """
        self._shared.leave_to_session(choice, ours)
        return _selected(choice)

    def cancel(self, choice: Choice) -> None:
        """Note that a cell does not run any more."""
        self._updates.append(lambda: self._shared.cancel(choice))

    def end_cell(self, choice: Choice, end: dict[str, Any]) -> None:
        """Note what a cell that has ended did to the names; add the lines for the user to its result."""
        shared = choice.read_report(end["shared"])
        returned = [str(item["name"]) for item in end["packed"] if item["role"] == protocol.ROLE_VALUE]
        end.setdefault("notes", []).extend(self._shared.lines_of(choice, shared))
        self._updates.append(lambda: self._shared.note_end(choice, shared, returned))

    def receive_end(self, end: dict[str, Any]) -> None:
        """Receive the metadata of a result frame; drop from it what is said of a cell whose variables are lost."""
        self._idle_since = time.monotonic()
        end["left"], end["changed"] = [], []
        end["state"] = {}  # random numbers of the session are its own
        self._note_memory(end.get("in_use"))
        if "session" in end:
            self._number = int(end["session"])
        if "names" in end:
            self.names = frozenset(str(name) for name in end["names"])
        if "lost" in end:
            self._lose_process(self._number + 1)
            lost = _listed([str(name) for name in end["lost"]])
            end.setdefault("notes", []).append(
                f"session {self.name} goes on with a new process; lost: {lost}"
            )

    async def drop_unused(self) -> None:
        """End the session if no cell has run in it."""
        if not self._number and not self.is_busy:
            self.ended = self.ended or "its first cell was stopped"
            await self._end()

    async def _start(self, prepared: PreparedCell) -> _Runner:
        idle = self.options.idle
        if idle is None:
            has_devices = not self.options.local and prepared.manifest.linger_seconds <= GPU_IDLE_SECONDS
            idle = GPU_IDLE_SECONDS if has_devices else IDLE_SECONDS
        try:
            started = await (self._attach() if self._found else self._start_or_attach(prepared, idle))
        except BaseException:  # raised again: also after a cancelled start, the next cell begins anew
            self.ended = "it did not start"
            raise
        manifest = self._found.pod if self._found else self._listener.manifest
        assert manifest is not None
        assert isinstance(started.channel, SessionChannel)
        termination = asyncio.ensure_future(started.backend.wait_until_ended())
        ended = asyncio.get_running_loop().create_future()
        self._runner = _Runner(
            started.backend, started.channel, manifest, started.where, idle, termination, ended
        )
        termination.add_done_callback(self._on_termination)
        loop().at_exit(self._leave)
        return self._runner

    async def _start_or_attach(self, prepared: PreparedCell, idle: float) -> StartedRunner:
        """Start the runner; attach to it if another kernel has just started it."""
        options = {
            name: plain_value(getattr(self.options, name))
            for name in POD_OPTIONS
            if name not in PLACE_OPTIONS
        }
        record = SessionRecord(idle, options)
        starter = SessionStart(prepared, self.name, record, self._newest_uid, self._channel_for)
        try:
            return await starter.start_runner(self._listener)
        except SessionExists as error:
            self._found, self._rendered = error.found, error.found.pod
            self.is_race_lost = True
            self._listener.on_note(OTHER_STARTED.format(name=self.name))
            return await self._attach()

    async def _attach(self) -> StartedRunner:
        # Start-up cost: a local run needs no client library.
        from .takeover import attach

        assert self._found is not None
        return await attach(self._found, self._listener, self._channel_for)

    def _channel_for(self, backend: Backend, key: str, secret: str, listener: TaskListener) -> SessionChannel:
        return SessionChannel(
            backend, key, secret, listener, self._receive_state, self.name, self._receive_failure
        )

    def _receive_failure(self, failure: BaseException, is_running: bool) -> None:
        """Follow the session no longer if another kernel has it; tell the user, unless a cell that runs says so."""
        if not isinstance(failure, TakenOver):
            return
        self.ended = failure.message.rstrip(".")
        loop().background(self._release())
        if not is_running:
            print(safe_text(f"podtask: {failure.message}\n  {failure.hint}"), file=sys.stderr, flush=True)

    def _on_termination(self, done: asyncio.Future[Termination]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        if self._runner is not None:
            # Start-up cost: loaded when it is first needed.
            from .takeover import end_in_words

            self.ended = self.ended or end_in_words(done.result(), self._runner.idle_seconds)
            self._runner.finish(done.result())
        loop().background(self._end())

    def _receive_state(self, state: dict[str, Any]) -> None:
        """Receive what the runner says of the session: its process may have died between two cells."""
        self.state = state
        self._note_memory(state)
        self.names = frozenset(str(name) for name in state.get("names", ()))
        if self._runner is not None and not state.get("busy"):
            self._idle_since = time.monotonic() + float(state["idle_left"]) - self._runner.idle_seconds
        number = int(state.get("number", 0))
        if self._number and number > self._number:
            lost = state.get("lost") or {"names": [], "why": "unknown"}
            self._note = (
                f"The process of session {self.name} ended before this cell ({lost['why']}). It runs in a new one; "
                f"lost: {_listed([str(name) for name in lost['names']])}."
            )
            self._lose_process(number)

    def _note_memory(self, meta: Any) -> None:
        """Note the memory in the meta of a frame; the pod may send anything."""
        meta = meta if isinstance(meta, dict) else {}
        used, limit = meta.get("memory"), meta.get("memory_limit")
        self.memory = used if isinstance(used, int) else None
        self.memory_limit = limit if isinstance(limit, int) else None

    def _lose_process(self, number: int) -> None:
        self._process_lost.set()
        self._number, self.names, self._has_state = number, frozenset(), False
        self._updates.append(self._shared.forget_all)

    async def _extend(self, seconds: float) -> None:
        try:
            if self._runner is None:
                raise ConnectionError("it has not started")
            await self._runner.channel.extend(seconds)
            self._extended_until = time.monotonic() + seconds
        except OSError as error:
            raise TaskError(f"Session {self.name} was not extended: {error}.", "Try again.") from None

    async def _leave(self) -> None:
        """End a local process with the kernel; leave a pod to the next kernel and to its time limits."""
        if self.options.local:
            await self._end()
        elif self._runner is not None:
            await self._runner.channel.close()
            self._runner.backend.release()

    async def _release(self) -> None:
        """Follow the session no longer: another kernel has it."""
        self._forget()
        runner = self._runner
        if runner is not None and not runner.is_deleted:
            runner.is_deleted = True
            loop().not_at_exit(self._leave)
            await runner.channel.close()
            runner.watching.cancel()  # its cells raise why they do not go on
            runner.backend.release()

    def _forget(self) -> None:
        if self.update_shared in self._log.between_cells:
            self._log.between_cells.remove(self.update_shared)

    async def _wait_until_ended(self) -> None:
        runner = self._runner
        if runner is not None:
            await asyncio.shield(runner.ended)
            await self._end()

    async def _end(self) -> None:
        self._forget()
        runner = self._runner
        if runner is None or runner.is_deleted:
            return
        runner.is_deleted = True
        loop().not_at_exit(self._leave)
        await runner.channel.close()
        await runner.backend.delete()
        runner.finish(Termination(self.ended))


def _selected(choice: Choice) -> SelectedInputs:
    return SelectedInputs(choice.values, frozenset(choice.unsent), tuple(choice.references))


@dataclasses.dataclass
class _Runner:
    """The started runner of a session."""

    backend: Backend
    channel: SessionChannel
    manifest: PodManifest
    where: str
    idle_seconds: float
    watching: asyncio.Future[Termination]  # waits for the end of the pod
    ended: asyncio.Future[Termination]  # done when the pod has ended, or was deleted by this kernel
    is_deleted: bool = False

    def finish(self, termination: Termination) -> None:
        """Tell the cells that run how the pod has ended, and stop watching it."""
        if not self.ended.done():
            self.ended.set_result(termination)
        self.watching.cancel()


class CellLauncher:
    """The launcher of one cell of a session; see ``lifecycle.interfaces.Launcher``.

    Args:
        session: The session.
        prepared: The cell.
        choice: What it takes from the notebook.
        number: Number of the process whose variables it counts on; 0 for any.
        asks_names: Whether the result lists the variables of the session.
        question: A question about a variable; None for a cell.

    Attributes:
        described: [name, type, bytes, device] of each variable, if that was asked for.
        answer: The answer to the question.
    """

    resumed = False
    is_enclosed = False

    def __init__(
        self,
        session: Session,
        prepared: PreparedCell,
        choice: Choice,
        number: int,
        asks_names: bool,
        question: dict[str, Any] | None = None,
    ) -> None:
        self.options = prepared.options
        self.name = session.task_name or session.name
        self.pack_seconds = 0.0
        self._session = session
        self._prepared = prepared
        self._choice: Choice | None = choice
        self.shared_values = choice.summary
        self._number = number
        self._turn: Turn | None = None
        self._asks_names = asks_names
        self._question = question
        self.described: list[list[Any]] = []
        self.answer: dict[str, Any] = {}

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """The variables that were sent: name -> (name of the type, bytes)."""
        return self._prepared.inputs.sizes

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Return the runner of the session.

        Raises:
            PodtaskError: It cannot be started.
        """
        session, prepared = self._session, self._prepared
        turn = self._turn = session.next_turn()  # before this waits for anything
        runner = await session.open(prepared, listener)
        listener.on_manifest(runner.manifest)
        if session.is_race_lost and self._choice is not None and not self._number:
            self._leave_to_session(self._choice)
        if runner.channel.is_busy:
            listener.on_phase(WAITING)
        linger = runner.manifest.linger_seconds
        more = {"max_last_value": MAX_LAST_VALUE_BYTES, "watched": [], "asks_names": self._asks_names}
        if self._question is not None:
            more["question"] = self._question

        def job_for(python: str, execution: str) -> Job:
            job = self._prepared.job_for(python, execution, linger, listener.on_note)
            assert self._choice is not None
            session_meta = {"idle": runner.idle_seconds, "number": self._number}
            about = {**more, "session": session_meta, "shared": self._choice.about}
            return dataclasses.replace(job, meta={**job.meta, **about})

        channel = CellChannel(runner.channel, job_for, listener, turn, self._receive_end, self._answer)
        backend = _CellBackend(session, runner, channel)
        return StartedRunner(backend, channel, session.where, stays=True)

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return nothing: what ran in a session cannot be run again without its variables."""
        return ""

    def on_cell_begun(self) -> None:
        """Do nothing: a session keeps no inputs in Secrets."""

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        return self._prepared.hint_for(error)

    def free_inputs(self) -> None:
        """Free the inputs: the task has ended. Their names and sizes stay known."""
        if self._turn is not None:
            self._turn.leave()
        if self._choice is not None:
            self._session.cancel(self._choice)
            self._choice = None
        self._prepared = self._prepared.without_values()

    def _leave_to_session(self, choice: Choice) -> None:
        """Send only what the session does not have: the values were chosen for a new one."""
        selected = self._session.leave_to_session(choice, self.options.inputs or ())
        self.shared_values = choice.summary
        self._prepared = dataclasses.replace(
            self._prepared,
            values=selected.values,
            kept=selected.kept,
            references=selected.references,
            state=NO_STATE,
        )

    def _answer(self, end: dict[str, Any]) -> None:
        """Add the values that the session wants to the cell.

        Raises:
            InputError: A name was set on both sides.
        """
        assert self._choice is not None
        selected = self._session.answer(self._choice, end)
        self.shared_values = self._choice.summary
        self._prepared = dataclasses.replace(
            self._prepared, values=selected.values, kept=selected.kept, references=selected.references
        )

    def _receive_end(self, end: dict[str, Any]) -> None:
        if self._choice is not None and "shared" in end:
            self._session.end_cell(self._choice, end)
            self._choice = None
        self._session.receive_end(end)
        self.described = end.get("described", [])
        self.answer = end.get("answer") or {}


class _CellBackend:
    """The backend of a session, as one of its cells sees it: the end of the cell is not the end of the pod."""

    def __init__(self, session: Session, runner: _Runner, channel: CellChannel) -> None:
        self.name = runner.backend.name
        self.url = runner.backend.url
        self._session = session
        self._runner = runner
        self._channel = channel

    @property
    def transport(self) -> str:
        """How the runner is reached."""
        return self._runner.backend.transport

    async def connect(self, handshake: Callable[[ByteStream], Awaitable[T]]) -> T:
        """Connect to the runner."""
        return await self._runner.backend.connect(handshake)

    async def wait_until_ended(self) -> Termination:
        """Wait until the session has ended."""
        end = await asyncio.shield(self._runner.ended)
        self._channel.session_ended = True
        names = _listed(sorted(self._session.names))
        why = (self._session.ended or end.message).rstrip(".")
        return dataclasses.replace(
            end,
            message=f"Session {self._session.name} has ended: {why}. Lost: {names}.",
            hint="The next cell begins a new session. Run the cells again that make these variables.",
        )

    async def delete(self, grace: float | None = None) -> None:
        """End the process of a running cell, or a session in which no cell has run; the others go on."""
        await self._channel.kill()
        await self._session.drop_unused()

    async def delete_read_secrets(self) -> None:
        """Do nothing: a session brings no cell in Secrets."""

    async def stop_reason(self) -> StopReason:
        """Return why the pod was terminated."""
        return await self._runner.backend.stop_reason()

    async def drain_notes(self) -> None:
        """Do nothing: the pod goes on."""

    async def why(self) -> str:
        """Return in one line what the runner waits for."""
        return await self._runner.backend.why()

    async def events(self) -> list[dict[str, Any]]:
        """Return the Kubernetes events of the pod."""
        return await self._runner.backend.events()

    async def snapshot(self) -> Snapshot:
        """Return the events seen so far and the last lines of the sidecars."""
        return await self._runner.backend.snapshot()

    def release(self) -> None:
        """Do nothing: the session stays."""

    async def whole_log(self) -> bytes:
        """Return the runner's log."""
        return await self._runner.backend.whole_log()

    async def logs(self, container: str | None) -> str:
        """Return the log of a container."""
        return await self._runner.backend.logs(container)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN_NAMES} more" if len(names) > MAX_SHOWN_NAMES else ""
    return (", ".join(names[:MAX_SHOWN_NAMES]) + more) or "no variables"
