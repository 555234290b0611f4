"""Execute a cell in the real ``__main__`` of its own process and pickle the outputs.

The cell is module code, not the body of a function: ``x = x + 1`` works, and functions see the cell's
variables. The value of the last expression is displayed, as a notebook does.
"""

import ast
import faulthandler
import os
import signal
import sys
import threading
import time
import types
from typing import IO, Any, Dict, List, NamedTuple, Optional, Tuple

from .. import protocol
from ..debug_log import logger
from ..ipython.display import DisplayFrontend, mime_bundle, settings
from ..state.libraries import AppliedState
from ..streams import FrameWriter, InterruptGuard, cell_streams
from . import changes, describe_error, import_hooks, import_path, inputs, outputs, shutdown
from .execute import CompiledCell
from .leftovers import LEFTOVER_SECONDS, abbreviate, end_leftovers

# Makes a worker write the stacks of its threads to a pipe. faulthandler does that in C, also while other C code holds the
# GIL. Libraries use the signals with names, and the C library the first and last ones of the others.
STACK_SIGNAL = int(signal.SIGRTMAX) - 2 if hasattr(signal, "SIGRTMAX") else int(signal.SIGUSR2)
SharedNames = Any  # of ``shared_names``, which only sessions load


class WorkerPipes(NamedTuple):
    """The worker's ends of the pipes, and the files, that it shares with the supervisor.

    Attributes:
        frames_fd: Write end of the pipe that takes frames.
        replies_fd: Read end of the pipe that brings answers to ``input()``.
        lock_fd: Descriptor of the file whose lock orders the writers of frames.
        taps: Stream name -> read end of the pipe behind descriptor 1 or 2.
        arrival_fd: Read end of the pipe that becomes readable when more of the inputs has arrived.
        stacks_fd: Write end of the pipe that takes the stacks of all threads.
        results: File for the pickled values, and the one that takes its place if a value fails half-way.
    """

    frames_fd: int
    replies_fd: int
    lock_fd: int
    taps: Dict[str, int]
    arrival_fd: int
    stacks_fd: int
    results: Tuple[IO[bytes], IO[bytes]]


def main(job: Dict[str, Any], inputs_fd: Optional[int], pipes: WorkerPipes, items: Any = None) -> int:
    """Run the job in this forked process; return its exit code.

    Args:
        job: Meta of the run frame.
        inputs_fd: Descriptor of the pickled inputs, which may still arrive; None if there are none.
        pipes: The pipes and files that it shares with the supervisor.
        items: Socket that brings the items of a map; None if the cell runs once.
    """
    guard, writer, frontend = set_up(pipes)
    os.environ.update(job["env"])
    shutdown.begin()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    arriving = (
        None if inputs_fd is None else inputs.InputFile(inputs_fd, job["inputs_size"], pipes.arrival_fd)
    )
    code = _run(CellRun(job, arriving, writer, items=items), frontend, writer, pipes.results)
    shutdown.shut_down(guard)  # the result is on its way: nothing that happens here can lose it
    writer.flush()
    return code


def set_up(pipes: WorkerPipes) -> Tuple[InterruptGuard, FrameWriter, DisplayFrontend]:
    """Prepare this forked process for cells: output, displays, signals, imports."""
    guard = InterruptGuard()
    writer = FrameWriter(guard, pipes.frames_fd, pipes.lock_fd, pipes.taps)
    logger.send_through(writer.emit)
    sys.stdout, sys.stderr = cell_streams(writer)
    frontend = DisplayFrontend(writer, pipes.replies_fd)
    frontend.install()
    signal.signal(signal.SIGINT, guard.on_interrupt)
    signal.signal(signal.SIGTERM, guard.on_interrupt)
    faulthandler.register(STACK_SIGNAL, pipes.stacks_fd, all_threads=True)
    _reset_sigterm_in_children()
    import_path.restore()
    import_hooks.install(frontend)
    return guard, writer, frontend


def _run(
    cell: "CellRun", frontend: DisplayFrontend, writer: FrameWriter, results: Tuple[IO[bytes], IO[bytes]]
) -> int:
    """Run the cell and send its result; return the exit code, and keep no value of the cell."""
    start = time.perf_counter()
    value, error = cell.run(frontend.guard)
    is_shown = error is None and not cell.is_call  # the value of a function call is only returned
    error = cell.display_result(frontend, value if is_shown else None) or error
    seconds = round(time.perf_counter() - start - cell.waited_seconds, 6)
    running = cell.running + end_leftovers(0 if isinstance(error, KeyboardInterrupt) else LEFTOVER_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    file = outputs.ResultWriter(results, lambda meta: writer.emit(protocol.VALUES, meta))
    end = cell.pack_outputs(file, value, error)
    end.update(seconds=seconds, running=abbreviate(running))
    writer.emit(protocol.RESULT, end)
    return 0 if error is None else 1


def _reset_sigterm_in_children() -> None:
    """Let SIGTERM end the processes that the cell forks, as in a kernel; process pools rely on it.

    The worker's own handler raises KeyboardInterrupt, which is lost if it is raised in a fork hook.
    """
    worker_handler = signal.getsignal(signal.SIGTERM)
    mask = threading.local()  # the signal mask of the thread that forks

    def before() -> None:
        mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask.before)

    def after_in_child() -> None:
        if signal.getsignal(signal.SIGTERM) == worker_handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


class CellRun:
    """One run of a cell: its code and its namespace.

    Args:
        job: Meta of the run frame.
        arriving: The pickled inputs, None if there are none.
        writer: Sends frames that report the current step.
        module: The ``__main__`` of a session; a new one by default.
        shared: The names that notebook and session share; None without a session.
        items: Socket that brings the items of a map; None if the cell runs once.
    """

    def __init__(
        self,
        job: Dict[str, Any],
        arriving: Optional[inputs.InputFile],
        writer: FrameWriter,
        module: Optional[types.ModuleType] = None,
        shared: Optional[SharedNames] = None,
        items: Any = None,
    ) -> None:
        self._items = items
        self._shared = shared if "shared" in job else None  # a client may leave the rule out
        self._refusal: Optional[Dict[str, Any]] = None  # why the cell of a session has not run
        self._writer = writer
        self._job = job
        self.is_call = bool(job.get("call"))
        self._arriving = arriving
        self._module = module or types.ModuleType("__main__")
        self._stage = protocol.STAGE_LOAD
        self._current_input = ""  # name of the input that is being unpickled
        self._before = changes.InputSnapshot({}, ())
        self._state = AppliedState({})
        self.running: List[str] = []  # asyncio tasks that still run when the cell has ended
        self.namespace = self._module.__dict__
        self.namespace["__builtins__"] = sys.modules["builtins"]

    @property
    def waited_seconds(self) -> float:
        """How long the cell has waited for its inputs."""
        return 0.0 if self._arriving is None else self._arriving.waited_seconds

    def run(self, guard: InterruptGuard) -> Tuple[Any, Optional[BaseException]]:
        """Return the value of the last expression and the error, if there was one."""
        sys.modules["__main__"] = self._module
        try:
            with guard.lifted():
                if self._is_refused():
                    return None, None
                self._load()
                self._stage = protocol.STAGE_RUN
                return self._execute(), None
        except BaseException as error:  # SystemExit and KeyboardInterrupt are results too
            return None, error

    def display_result(self, frontend: DisplayFrontend, value: Any) -> Optional[BaseException]:
        """Display the last expression and open figures; return the error if that fails."""
        try:
            with frontend.guard.lifted():
                if value is not None:
                    frontend.show_bundle(*mime_bundle(value), result=True)
                if import_hooks.BACKEND[len("module://") :] in sys.modules:
                    sys.modules[import_hooks.BACKEND[len("module://") :]].show()
        except BaseException as error:
            return error
        return None

    def _is_refused(self) -> bool:
        """Return whether the session has other values than the notebook expects; the inputs have arrived then."""
        if self._shared is not None:
            self._refusal = self._shared.compare(self._job["shared"])
            if self._refusal is not None and self._arriving is not None:
                self._arriving.wait_complete()
        return self._refusal is not None

    def _load(self) -> None:
        if self._job.get("pip"):
            # Start-up cost: few cells need it.
            from . import pip_install

            self._stage = protocol.STAGE_PIP
            specs = pip_install.shown_specs(self._job["pip"])
            self._writer.emit(protocol.STATE, {"step": protocol.STEP_PIP, "specs": specs})
            seconds = pip_install.install(self._job["pip"])
            self._writer.emit(protocol.STATE, {"step": protocol.STEP_RUN, "pip": specs, "seconds": seconds})
            self._stage = protocol.STAGE_LOAD
        self._state = inputs.load(self._job, self._arriving, self.namespace, self._note_input)
        if self._job.get("session"):
            self._state.uninstall_unused()
        if self._shared is not None:
            self._shared.note_loaded(self._job["shared"])
        self._before = changes.InputSnapshot(self.namespace, self._job["watched"])

    def _note_input(self, name: str) -> None:
        self._current_input = name

    def _execute(self) -> Any:
        job = self._job
        if job.get("results_in"):
            # Start-up cost: few cells need it.
            from .. import results_file

            results_file.check(job["results_in"])
        inputs.register_source(job["filename"], job["source"])
        quiet, flags = bool(job.get("quiet")), int(job.get("flags", 0))
        stays = bool(job.get("session") or job.get("items"))
        cell = CompiledCell(job["source"], job["filename"], quiet, flags, settings.interactivity, stays)
        if self._shared is not None:
            self._shared.begin(ast.parse(job["source"]))
        if self._items is not None:
            # Start-up cost: most cells run once.
            from . import items

            items.ItemLoop(job, cell, self.namespace, self._writer).run(self._items)
            return None
        try:
            if job.get("timed"):
                # Start-up cost: few cells need it.
                from ..ipython import shell

                with shell.Timed():
                    return cell.run(self.namespace)
            return cell.run(self.namespace)
        finally:
            self.running = cell.running_tasks

    def pack_outputs(
        self, file: outputs.ResultWriter, value: Any, error: Optional[BaseException]
    ) -> Dict[str, Any]:
        """Pickle the outputs; return the meta of the result frame."""
        end: Dict[str, Any] = {"status": protocol.STATUS_OK if error is None else protocol.STATUS_ERROR}
        last: List[outputs.Item] = []
        if error is not None:
            errors = describe_error.error_chain(error)
            end["error"] = {**describe_error.describe(errors, self._stage), "input": self._current_input}
            plain = self._job["mode"] == "data"

            def can_pickle(part: Any) -> bool:
                return outputs.can_pickle(part, self.namespace, plain)

            last = (
                []
                if self._job.get("plain")
                else [
                    (protocol.ROLE_ERROR, str(index), describe_error.to_picklable(each, can_pickle))
                    for index, each in enumerate(errors)
                ]
            )
        elif value is not None:
            last = [(protocol.ROLE_LAST_VALUE, "", value)]
        end.update(self._state.report())
        snapshots = sys.modules.get(f"{__package__}.module_snapshots")  # loaded only with local modules
        if snapshots is not None:
            end["notes"] += snapshots.notes()
        job = self._job
        if self._shared is not None:
            job = {**job, "outputs": self._shared_outputs(end, error)}
        end.update(outputs.pack_values(job, file, self.namespace, self._before, last))
        if self._shared is not None:
            self._shared.note_same(
                item["name"] for item in end["packed"] if item["role"] == protocol.ROLE_VALUE
            )
        if self._job.get("results_in"):
            self._save_values(end, file)
        return end

    def _shared_outputs(self, end: Dict[str, Any], error: Optional[BaseException]) -> Any:
        """Add to the result of a cell what it did to the names of its session; return the outputs that go back."""
        assert self._shared is not None
        if self._refusal is not None:
            end.update(status=protocol.STATUS_NOT_RUN, shared=self._refusal)
            return []
        end["shared"] = self._shared.report(error)
        wanted = self._job["outputs"]
        return wanted if wanted == "auto" else self._shared.changed_outputs(wanted)

    def _save_values(self, end: Dict[str, Any], file: outputs.ResultWriter) -> None:
        """Write the values of a cell that has succeeded to the file of ``--results-in``."""
        # Start-up cost: few cells need it.
        from .. import results_file

        path = self._job["results_in"]
        has_values = any(item["role"] in protocol.VALUE_ROLES for item in end["packed"])
        if end["status"] != protocol.STATUS_OK or not has_values:
            results_file.discard(path)
            return
        try:
            end["saved"] = results_file.save(path, end, file.current, bool(self._job.get("plain")))
            end["notes"].append(f"values in {path}")
        except OSError as error:
            end["notes"].append(f"values NOT in {path}: {error}")
