"""Executes a cell in the real ``__main__`` of its own process and packs what comes of it.

Module code, not the body of a function: ``x = x + 1`` works, and functions see the cell's
variables. The last expression is shown, as a notebook does.
"""

import os
import signal
import sys
import threading
import time
import types
from typing import IO, Any, Dict, List, Optional, Tuple

from .. import protocol
from ..ipython.display import DisplayFrontend, bundle
from ..streams import FrameWriter, InterruptGuard, streams
from . import changes, describe_error, import_hooks, inputs, outputs
from .execute import Steps
from .leftovers import SECONDS, abbreviate, settle


def main(job: Dict[str, Any], given: Optional[int], child: Any) -> int:
    """Runs the job in this (forked) process; returns its exit code.

    Args:
        job: the meta of the run frame.
        given: descriptor of the pickled inputs.
        child: the pipes and the file for results.
    """
    shield = InterruptGuard()
    emitter = FrameWriter(shield, child.events_end, child.lock.fileno(), child.taps)
    sys.stdout, sys.stderr = streams(emitter)
    front = DisplayFrontend(emitter, child.replies_end)
    front.install()
    # In threads too: what a thread prints belongs to the cell.
    signal.signal(signal.SIGINT, shield.on_interrupt)
    signal.signal(signal.SIGTERM, shield.on_interrupt)
    _end_children_by_default()
    import_hooks.install(front)
    os.environ.update(job["env"])
    cell = CellRun(job, given, emitter)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    start = time.perf_counter()
    value, error = cell.run(shield)
    shown = error is None and not job.get("call")  # what a function returns its caller may show
    error = cell.show(front, value if shown else None) or error
    seconds = round(time.perf_counter() - start, 6)
    running = cell.running + settle(0 if isinstance(error, KeyboardInterrupt) else SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    end = cell.pack(child.results, value, error)
    end.update(seconds=seconds, running=abbreviate(running))
    emitter.emit(protocol.RESULT, end)
    return 0 if error is None else 1


def _end_children_by_default() -> None:
    """Lets SIGTERM end what the cell forks, as in a kernel; a pool's processes are ended by it.

    Ours raises KeyboardInterrupt, which is lost where it meets a hook of the fork.
    """
    ours = signal.getsignal(signal.SIGTERM)
    mask = threading.local()  # of the thread that forks

    def before() -> None:
        mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask.before)

    def after_in_child() -> None:
        if signal.getsignal(signal.SIGTERM) == ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


class CellRun:
    """The code of one cell with its namespace.

    Args:
        job: the meta of the run frame.
        given: descriptor of the pickled inputs, None where there are none.
        emitter: tells what it is at.
    """

    def __init__(self, job: Dict[str, Any], given: Optional[int], emitter: FrameWriter) -> None:
        self._emitter = emitter
        self._job = job
        self._inputs = given
        self._module = types.ModuleType("__main__")
        self._stage = "load"
        self._input = ""  # what is unpickled
        self._given = changes.InputSnapshot({}, ())
        self.running: List[str] = []  # asyncio tasks that the cell left
        self.namespace = self._module.__dict__
        self.namespace["__builtins__"] = sys.modules["builtins"]

    def run(self, shield: InterruptGuard) -> Tuple[Any, Optional[BaseException]]:
        """Returns the value of the last expression and the error, if there was one."""
        sys.modules["__main__"] = self._module
        try:
            with shield.lifted():
                self._load()
                self._stage = "run"
                return self._execute(), None
        except BaseException as error:  # SystemExit and KeyboardInterrupt are results too
            return None, error

    def show(self, front: DisplayFrontend, value: Any) -> Optional[BaseException]:
        """Displays the last expression and open figures; returns the error of a broken one."""
        try:
            with front.shield.lifted():
                if value is not None:
                    front.show(*bundle(value), result=True)
                if import_hooks.BACKEND[len("module://") :] in sys.modules:
                    sys.modules[import_hooks.BACKEND[len("module://") :]].show()
        except BaseException as error:
            return error
        return None

    def _load(self) -> None:
        if self._job.get("pip"):
            from . import pip_install  # few cells need any

            self._stage = "pip"
            specs = self._job["pip"]["specs"]
            self._emitter.emit(protocol.STATE, {"step": "pip", "specs": specs})
            seconds = pip_install.install(self._job["pip"])
            self._emitter.emit(protocol.STATE, {"step": "run", "pip": specs, "seconds": seconds})
            self._stage = "load"
        inputs.load(self._job, self._inputs, self.namespace, self._unpacks)
        self._given = changes.InputSnapshot(self.namespace, self._job["watched"])

    def _unpacks(self, name: str) -> None:
        self._input = name

    def _execute(self) -> Any:
        job = self._job
        inputs.remember(job["filename"], job["source"])
        quiet, flags = bool(job.get("quiet")), int(job.get("flags", 0))
        steps = Steps(job["source"], job["filename"], quiet, flags)
        try:
            if job.get("timed"):
                from ..ipython import shell  # few cells are timed

                with shell.Timed():
                    return steps.run(self.namespace)
            return steps.run(self.namespace)
        finally:
            self.running = steps.running

    def pack(self, file: IO[bytes], value: Any, error: Optional[BaseException]) -> Dict[str, Any]:
        """Pickles what goes back; returns the meta of the end frame."""
        end: Dict[str, Any] = {"status": "ok" if error is None else "error"}
        last: List[outputs.Item] = []
        if error is not None:
            errors = describe_error.chain(error)
            end["error"] = {**describe_error.describe(errors, self._stage), "input": self._input}
            plain = self._job["mode"] == "data"

            def sends(part: Any) -> bool:
                return outputs.sends(part, self.namespace, plain)

            last = [
                ("error", str(place), describe_error.portable(each, sends))
                for place, each in enumerate(errors)
            ]
        elif value is not None:
            last = [("result", "", value)]
        return {**end, **outputs.pack_values(self._job, file, self.namespace, self._given, last)}
