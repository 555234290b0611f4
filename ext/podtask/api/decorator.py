"""``@podtask.task``: a function whose calls run in pods."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ..display.task_table import ParallelCalls
from ..lifecycle.task import Task
from ..pickling.function_call import FunctionCall
from .resolve import check_options, resolve_options
from .submit import call, follow

P = ParamSpec("P")
R = TypeVar("R")


class TaskFunction(Generic[P, R]):
    """A function with how it runs; made by :func:`task`.

    Args:
        function: what runs in the pod. There it is just itself: a task that calls another one
            runs it in the same pod.
        given: options of its own; the settings are beneath them at each call.
    """

    travels_as_its_function = True  # what the pickler asks for

    def __init__(self, function: Callable[P, R], given: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._given = given

    def __repr__(self) -> str:
        return f"<podtask.task {self.__wrapped__.__qualname__}>"

    def __get__(self, instance: object, owner: type | None = None) -> TaskFunction[..., R]:
        """Makes it a method: of an object, which goes along."""
        if instance is None:
            return self
        return TaskFunction(types.MethodType(self.__wrapped__, instance), self._given)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs in a pod, shows its output as it comes, and returns what the function returns.

        An ``async def`` is awaited there: the call gives its result, and ``await task.submit(...)``
        does without blocking. Called by another task, in the pod, it is itself: a coroutine.

        Raises:
            BaseException: the function's own error, or a PodtaskError.
        """
        result: R = follow(self.submit(*args, **kwargs))
        return result

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Runs in a pod; returns the handle at once.

        Raises:
            InputError: before anything is sent; says what is wrong.
        """
        return call(self.__wrapped__, args, kwargs, resolve_options(self._given))

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function here, in this process."""
        return self.__wrapped__(*args, **kwargs)

    def map(
        self, *iterables: Iterable[Any], max_parallel: int = 32, return_exceptions: bool = False
    ) -> list[Any]:
        """Runs once for each tuple of arguments, a pod each; returns the results in their order.

        Args:
            iterables: as of ``map``; ends with the shortest.
            max_parallel: so many pods at once.
            return_exceptions: put an error in its result's place; else the first one ends all.

        Raises:
            InputError: before anything is sent; the function does not take such arguments.
            BaseException: the first error of a call.
        """
        rows = list(zip(*iterables, strict=False))
        for args in rows:
            FunctionCall(self.__wrapped__, args, {}).check()
        calls = [functools.partial(self.submit, *args) for args in rows]
        return ParallelCalls(calls, max_parallel).follow(return_exceptions)

    def with_options(self, **options: Any) -> TaskFunction[P, R]:
        """Returns the same function with other options.

        Raises:
            InputError: an option is unknown or wrong.
        """
        check_options(options)
        return TaskFunction(self.__wrapped__, {**self._given, **options})


@overload
def task(template: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(template: Any = None, **options: Any) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(template: Any = None, **options: Any) -> Any:
    """Makes a function run in pods: ``@task``, or ``@task(template, memory="8Gi", ...)``.

    Args:
        template: pod template, by its name or in any form that ``PodTemplate.of`` takes.
        options: as of the magic; settings and the session's default hold for the others.

    Raises:
        InputError: an option is unknown or wrong.
    """
    if callable(template) and not options and not hasattr(template, "pod_spec"):
        return TaskFunction(template, {})
    if template is not None:
        options = {"template": template, **options}
    check_options(options)
    return lambda function: TaskFunction(function, options)


task.__module__ = "podtask"  # in a pod too, where there is no podtask.api
