"""``podtask.Executor``: the calls of ``concurrent.futures``, in pods."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from ..config.options import RunOptions
from ..errors import InputError
from ..event_loop import clean_up_at_sigterm
from ..interrupts import InterruptGuard
from ..maps.call_future import CallFuture
from ..maps.call_pool import CallPool
from ..maps.prepare_map import DEFAULT_WORKERS, check_workers, runs_on_workers
from ..pickling.exceptions import CallerFrames
from .resolve import check_options, resolve_options

P = ParamSpec("P")
R = TypeVar("R")


class Executor(concurrent.futures.Executor):
    """An executor of ``concurrent.futures`` whose calls run in pods, as ``ProcessPoolExecutor`` runs them in processes.

    Workers start with the first calls, take one call after another, and end with :meth:`shutdown`, with the ``with``
    block, or with the kernel. The function of the first call is sent once to each worker; what it reads is that of then.

    Args:
        workers: Number of pods that run at the same time, 64 at most.
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes.
        options: Options as of ``%%podtask``. The session's template and the settings apply to the others.

    Raises:
        InputError: An option or the template is wrong.
    """

    stays_here = True  # the search for a part of a value that cannot be pickled stops here

    def __init__(self, workers: int = DEFAULT_WORKERS, template: Any = None, **options: Any) -> None:
        with CallerFrames():
            self._pool = CallPool(worker_options(template, options), check_workers(workers))
            weakref.finalize(self, self._pool.close_later).atexit = False  # the exit ends all tasks by itself

    def __repr__(self) -> str:
        return f"<podtask.Executor: {self._pool!r}>"

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "an executor can only be used in the notebook.",
            "Submit the calls in the notebook, or use concurrent.futures in the pod.",
        )

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> CallFuture:
        """Run a function in a worker, and return the future of the call at once.

        The function and the arguments are packed now. If one of them cannot be sent, the future has the error.

        Raises:
            RuntimeError: The executor was shut down.
        """
        with CallerFrames():
            return self._pool.submit(fn, args, kwargs)

    def map(
        self,
        fn: Callable[..., R],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **more: Any,
    ) -> Iterator[R]:
        """Run a function for each tuple of arguments; yield the results in order.

        Args:
            fn: The function.
            iterables: Iterables of arguments, as for the built-in ``map``.
            timeout: Seconds until the results must be there; None for no limit.
            chunksize: Has no effect: short calls wait in their workers anyway.
            more: ``buffersize``, with Python 3.14.

        Raises:
            ValueError: ``chunksize`` is less than 1.
            TimeoutError: The results are not there in time.
            BaseException: The first error of a call, in their order.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        return super().map(fn, *iterables, timeout=timeout, **more)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls, and end the workers when all calls have ended.

        Args:
            wait: Whether to wait for that.
            cancel_futures: Whether the calls that have not begun are cancelled.
        """
        self._pool.close(cancel_futures)
        if wait:
            with InterruptGuard("stopped waiting; the calls keep running."), clean_up_at_sigterm():
                self._pool.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Wait for all calls; after an interrupt, stop them."""
        if isinstance(error, KeyboardInterrupt):
            self._stop()
            return
        try:
            self.shutdown()
        except KeyboardInterrupt:
            self._stop()
            raise

    def _stop(self) -> None:
        """Interrupt the calls that run, and cancel the others; at another interrupt, end the workers at once."""
        self._pool.close()
        self._pool.stop(1)
        try:
            self.shutdown()
        except KeyboardInterrupt:
            self._pool.stop(2)
            self.shutdown()


def worker_options(template: Any, given: Mapping[str, Any]) -> RunOptions:
    """Return the options of workers whose calls are not known yet; the template is resolved.

    Args:
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes; None if there is none.
        given: Further options.

    Raises:
        InputError: An option or the template is wrong, or the options exclude workers.
    """
    given = given if template is None else {"template": template, **given}
    check_options(given)
    options = resolve_options(given)
    if not runs_on_workers(options):
        raise InputError(
            "An executor runs on workers, which need a connection and pickled results.",
            "Leave out session=, detach=, results='plain' and channel='batch'.",
        )
    return options


Executor.__module__ = "podtask"
