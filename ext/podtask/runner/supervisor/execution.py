"""One execution of a cell: its job, its worker, its values, and how it has ended."""

import os
import signal
import time
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from .. import protocol
from ..debug_log import logger
from ..worker.main import main as run_job
from .clients import FOREVER
from .results import Results
from .temporary_files import temporary_folder
from .usage import UsageMeter
from .verdict import result_frame
from .worker_process import WorkerProcess

MIN_SHUTDOWN_SECONDS = 1  # for the exit handlers of a cell, also with --grace 0


class Execution:
    """An execution, which starts at once in a worker of its own. It unpickles its inputs while they arrive.

    Args:
        job: Meta of the run frame.
        inputs: Descriptor of the pickled inputs, None if there are none.
        to_close: Files and sockets of the supervisor, which the worker closes: a descriptor that it also held would stay
            open when the supervisor closes it.
        first_seq: Number of its first frame.
        is_measured: Whether the container's use of CPU and memory is measured.

    Attributes:
        state: Waiting for inputs, running or done.
        end: Meta of the result frame that the worker has sent, then of the final one.
        stop_reason: Why the worker is stopped from outside (timeout, terminated); otherwise empty.
        kill_at: When the worker is killed (monotonic).
        began: When its cell began (monotonic).
        is_announced: Whether the log mentions that the result waits, or contains it.
    """

    stays = False  # whether the worker stays when the cell has ended
    takes_items = False  # whether the worker is one of a map
    received_items = 0  # how many items have arrived as a whole

    def __init__(
        self,
        job: Dict[str, Any],
        inputs: Optional[int],
        to_close: Iterable[Any],
        first_seq: int,
        is_measured: bool,
    ) -> None:
        self.job = job
        self.name: str = job["exec"]
        self.state = protocol.RUNNER_WAITING
        self.first_seq = first_seq
        self.end: Optional[Dict[str, Any]] = None
        self.stop_reason = ""
        self.kill_at = FOREVER
        self.is_announced = False
        self.began = time.monotonic()
        self._deadline = FOREVER
        self._interrupts = 0
        self.worker, files = self._start(inputs, to_close)
        self.results = Results(self.name, files)
        self.usage = UsageMeter() if is_measured else None

    def _start(self, inputs: Optional[int], to_close: Iterable[Any]) -> Tuple[WorkerProcess, Sequence[Any]]:
        """Start the worker; return it, and the files for its values."""
        job = self.job
        if job.get("local_modules"):
            job["folder"] = temporary_folder()
        worker = WorkerProcess(lambda worker: run_job(job, inputs, worker.pipes()), to_close)
        logger.debug("the worker has started: process %d", worker.pid)
        return worker, worker.results

    def receive_item(self, frame: protocol.Frame) -> None:
        """Do nothing: only the worker of a map takes items."""

    @property
    def is_running(self) -> bool:
        """Whether its worker may still run."""
        return self.state != protocol.RUNNER_DONE

    @property
    def exit_code(self) -> int:
        """Exit code of the runner that tells Kubernetes how the cell has ended."""
        return 0 if self.end and self.end["status"] == protocol.STATUS_OK else 1

    @property
    def next_deadline(self) -> float:
        """When :meth:`check_deadlines` has to be called (monotonic)."""
        return min(self._deadline, self.kill_at)

    @property
    def pipes(self) -> List[int]:
        """The descriptors that become readable when the worker has sent something."""
        return [self.worker.events, *self.worker.taps.values()]

    def receive_inputs(self, size: int) -> bool:
        """Let the worker read what has arrived of its inputs; return whether they are complete for the first time.

        The time limit of the cell counts from then on.
        """
        if self.state != protocol.RUNNER_WAITING:
            return False
        self.worker.report_arrival()
        if size < self.job["inputs_size"]:
            return False
        self.state = protocol.RUNNER_RUNNING
        self.began = time.monotonic()
        self._deadline = self.began + float(self.job["timeout"])
        return True

    def interrupt(self, number: int) -> None:
        """Interrupt the cell once for each number: a new connection repeats the last one."""
        if self.is_running and number > self._interrupts:
            self._interrupts = number
            logger.debug("interrupting the cell")
            self.worker.kill(signal.SIGINT)

    def forget_interrupts(self) -> None:
        """Accept the numbers of another client, which count from 1."""
        self._interrupts = 0

    def stop(self, reason: str) -> None:
        """Interrupt the cell; kill it after its grace period."""
        seconds = float(self.job["grace"])
        self.stop_reason = self.stop_reason or reason
        self._deadline = FOREVER
        logger.debug("stopping the cell (%s); it is killed after %g s", reason, seconds)
        self.kill_at = min(self.kill_at, time.monotonic() + seconds)
        self.worker.kill(signal.SIGINT)

    def check_deadlines(self, now: float) -> None:
        """Stop or kill the cell if its time is over."""
        if self._deadline <= now:
            self.stop(protocol.STATUS_TIMEOUT)
        if self.kill_at <= now:
            self.kill_at = FOREVER
            logger.debug("killing the worker")
            self.worker.kill(signal.SIGKILL)

    def receive_result(self, meta: Dict[str, Any]) -> None:
        """Receive the worker's result frame: its exit handlers and open files have a limited time from now on."""
        self.end = meta
        self.kill_at = min(self.kill_at, time.monotonic() + self._shutdown_seconds())

    def shutdown_report(self) -> str:
        """Return a line for stderr of the cell if its process ended in its exit handlers, otherwise nothing."""
        if self.end is None or not os.WIFSIGNALED(self.worker.status or 0):
            return ""
        number = signal.Signals(os.WTERMSIG(self.worker.status or 0))
        text = f"podtask: the exit handlers of the cell ended with {number.name}; "
        if number == signal.SIGKILL:
            text = f"podtask: the exit handlers of the cell were killed after {self._shutdown_seconds():g} s (--grace); "
        return text + "files that they write may be incomplete.\n"

    def finish(self) -> Tuple[Dict[str, Any], bytes]:
        """Close the worker, which has ended; return meta and data of the final result frame."""
        self.worker.kill(signal.SIGKILL)  # and the processes that it left running
        self._remove_folder()
        self.worker.close()
        end, data = self._make_result()
        logger.debug("the worker has ended: %s; the cell: %s", self.worker.end_in_words(), end["status"])
        return end, data

    def _make_result(self) -> Tuple[Dict[str, Any], bytes]:
        """Return meta and data of the final result frame: the execution is done."""
        self.end, data = result_frame(self.worker, self.end, self.stop_reason, self.job, self.results)
        self.state = protocol.RUNNER_DONE
        self._deadline = self.kill_at = FOREVER
        return self.end, data

    def close(self) -> None:
        """Free the values; end the worker if it still runs."""
        if self.is_running:
            self.worker.kill(signal.SIGKILL)
        self._remove_folder()
        self.results.close()

    def _shutdown_seconds(self) -> float:
        """Return the seconds that the worker has for exit handlers and open files, once its result is here."""
        return max(float(self.job["grace"]), MIN_SHUTDOWN_SECONDS)

    def _remove_folder(self) -> None:
        """Remove the folder of the notebook's own modules."""
        folder = self.job.pop("folder", "")
        if folder:
            # Start-up cost: few cells use local modules.
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
