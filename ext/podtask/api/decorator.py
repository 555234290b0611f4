"""``@podtask.task``: a function whose calls run in pods."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ..config.options import RunOptions
from ..display.map_view import MapView
from ..display.task_table import ParallelCalls
from ..errors import InputError
from ..interrupts import InterruptGuard
from ..lifecycle.task import Task
from ..maps.map_task import MapTask
from ..maps.prepare_map import (
    DEFAULT_WORKERS,
    PreparedMap,
    check_workers,
    prepare_function_map,
    runs_on_workers,
)
from ..pickling.exceptions import CallerFrames
from ..pickling.function_call import FunctionCall
from .resolve import check_options, resolve_options
from .submit import NOTHING_SENT, call_launcher, follow, start

P = ParamSpec("P")
R = TypeVar("R")


class TaskFunction(Generic[P, R]):
    """A function whose calls run in pods; :func:`task` makes it.

    In the pod it is the plain function: a task that calls another task runs it in the same pod.

    Args:
        function: The function to run.
        given: Options of the function. Each call adds the settings that are current by then.
    """

    travels_as_its_function = True  # read by the pickler

    def __init__(self, function: Callable[P, R], given: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._given = given

    def __repr__(self) -> str:
        return f"<podtask.task {self.__wrapped__.__qualname__}>"

    def __get__(self, instance: object, owner: type | None = None) -> TaskFunction[..., R]:
        """Bind the function to an object, which is sent along as its first argument."""
        if instance is None:
            return self
        return TaskFunction(types.MethodType(self.__wrapped__, instance), self._given)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function in a pod, show its output live, and return its result.

        An ``async def`` function is awaited in the pod, so that the call returns its result; to avoid
        blocking, use ``await task.submit(...)``. Inside another task, the call returns a coroutine.

        Raises:
            BaseException: The function's own error, or a PodtaskError.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            options = resolve_options(self._given)
            launcher = call_launcher(self.__wrapped__, args, kwargs, options, self._given, waits=True)
            result: R = follow(launcher, guard)
        return result

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Run the function in a pod, and return the task's handle at once.

        Raises:
            InputError: An option, the template or an argument is wrong; nothing was sent.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            options = resolve_options(self._given)
            return start(call_launcher(self.__wrapped__, args, kwargs, options, self._given), guard)

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function in this process."""
        return self.__wrapped__(*args, **kwargs)

    def map(
        self,
        *iterables: Iterable[Any],
        workers: int | None = None,
        return_exceptions: bool = False,
        max_parallel: int | None = None,
    ) -> list[Any]:
        """Run the function once for each tuple of arguments, in workers that take one call after another.

        The function is sent once to each worker. What a call changes in its worker, such as a global variable, the
        next call in it finds. In a session, detached or in batch mode, each call is a task of its own.

        Args:
            iterables: Iterables of arguments, as for the built-in ``map``; the shortest one sets the number of calls.
            workers: Number of pods that run at the same time, 64 at most; 16 by default, or what the options say.
            return_exceptions: Whether to return an error in place of a result. If not, the first error
                cancels all other calls.
            max_parallel: The old name of ``workers``.

        Returns:
            The results, in the order of the arguments.

        Raises:
            InputError: The function does not take such arguments; nothing was sent.
            BaseException: The first error of a call.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            all_args = list(zip(*iterables, strict=False))
            options = resolve_options(self._given)
            size = _check_workers(workers, max_parallel, options)
            if runs_on_workers(options):
                prepared = self._prepare_map(all_args, options, size)
                if not all_args:
                    return []
                guard.hold()
                return MapView(MapTask(prepared, not return_exceptions)).follow(return_exceptions, guard)
            for args in all_args:
                FunctionCall(self.__wrapped__, args, {}).check()
            calls = [functools.partial(self.submit, *args) for args in all_args]
            return ParallelCalls(calls, size).follow(return_exceptions, guard)

    def submit_map(
        self,
        *iterables: Iterable[Any],
        workers: int | None = None,
        first_error: bool = False,
    ) -> MapTask:
        """Run the function once for each tuple of arguments, like :meth:`map`, and return the map's handle at once.

        Args:
            iterables: Iterables of arguments, as for the built-in ``map``; the shortest one sets the number of calls.
            workers: Number of pods that run at the same time, 64 at most.
            first_error: Whether the first error ends the map. If not, an error is the result of its call.

        Raises:
            InputError: An option, the template or an argument is wrong; nothing was sent.
        """
        with CallerFrames(), InterruptGuard(NOTHING_SENT) as guard:
            all_args = list(zip(*iterables, strict=False))
            options = resolve_options(self._given)
            if not runs_on_workers(options):
                raise InputError(
                    "submit_map runs on workers, which need a connection and pickled results.",
                    "Leave out session=, detach=, results='plain' and channel='batch', or use map().",
                )
            prepared = self._prepare_map(all_args, options, _check_workers(workers, None, options))
            guard.hold()
            started = MapTask(prepared, first_error)
            guard.end_with(started.cancel_nowait, "stopped; the map is cancelled.")
            return started

    def _prepare_map(self, all_args: list[tuple[Any, ...]], options: RunOptions, workers: int) -> PreparedMap:
        return prepare_function_map(self.__wrapped__, all_args, options, workers)

    def with_options(self, **options: Any) -> TaskFunction[P, R]:
        """Return the same function with other options.

        Args:
            options: Options that replace those of the function.

        Raises:
            InputError: An option is unknown or wrong.
        """
        check_options(options)
        return TaskFunction(self.__wrapped__, {**self._given, **options})


@overload
def task(template: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(template: Any = None, **options: Any) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(template: Any = None, **options: Any) -> Any:
    """Make the calls of a function run in pods: ``@task``, or ``@task(template, memory="8Gi", ...)``.

    Args:
        template: Pod template: its name, or any form that ``PodTemplate.of`` takes.
        options: Options as of ``%%podtask``. The session's template and the settings apply to the others.

    Raises:
        InputError: An option is unknown or wrong.
    """
    if callable(template) and not options and not hasattr(template, "pod_spec"):
        return TaskFunction(template, {})
    if template is not None:
        options = {"template": template, **options}
    check_options(options)
    return lambda function: TaskFunction(function, options)


def _check_workers(workers: int | None, max_parallel: int | None, options: RunOptions) -> int:
    """Return the number of workers of a map, which has an old name, too.

    Raises:
        InputError: It is not a whole number from 1 to 64.
    """
    if workers is None and max_parallel is not None:
        return check_workers(max_parallel, "max_parallel")
    return check_workers((options.workers or DEFAULT_WORKERS) if workers is None else workers)


task.__module__ = "podtask"  # it is pickled by this name: a pod has no podtask.api
