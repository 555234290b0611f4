"""The backend "podtask" of joblib: ``with joblib.parallel_config("podtask", n_jobs=8, template="gpu")``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joblib._parallel_backends import (
    AutoBatchingMixin,
    ParallelBackendBase,
)  # what its own backends are made of

from ..maps.call_future import CallFuture
from ..maps.call_pool import CallPool
from ..maps.prepare_map import DEFAULT_WORKERS, check_workers
from .executor import worker_options


class PodtaskBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """The backend of joblib whose workers start with the first call of one ``joblib.Parallel``, and end with it.

    Args:
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes.
        nesting_level: Set by joblib.
        inner_max_num_threads: Set by joblib.
        options: Options as of ``%%podtask``. The session's template and the settings apply to the others.

    Raises:
        InputError: An option or the template is wrong.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True

    def __init__(
        self,
        template: Any = None,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._options = worker_options(template, options)
        self._pool: CallPool | None = None
        self._workers = 1
        self.parallel: Any = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of workers; a negative number means the default one.

        Raises:
            ValueError: It is 0.
            InputError: It is more than 64.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return DEFAULT_WORKERS if n_jobs < 0 else check_workers(n_jobs, "n_jobs")

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **unused: Any) -> int:
        """Prepare for the calls of one ``Parallel``; return the number of workers. With one, joblib makes no use of it."""
        self.parallel = parallel
        self._workers = self.effective_n_jobs(n_jobs)
        self._pool = CallPool(self._options, self._workers)
        return self._workers

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> CallFuture:
        """Run a batch of calls in a worker, and return its future at once."""
        assert self._pool is not None
        future = self._pool.submit(func, (), {})
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: CallFuture) -> Any:
        """Return the results of a batch that has ended.

        Raises:
            BaseException: The first error of a call.
        """
        return out.result()

    def terminate(self) -> None:
        """Wait until the workers have ended."""
        pool, self._pool, self.parallel = self._pool, None, None
        if pool is not None:
            pool.close()
            pool.wait()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Interrupt the calls that run, and cancel the others."""
        if self._pool is not None:
            self._pool.close(cancel=True)
            self._pool.stop(1)
            self._pool.wait()
            self._pool = CallPool(self._options, self._workers) if ensure_ready else None
