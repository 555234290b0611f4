"""How queues and locks of asyncio travel: by their content. Other attributes are those of each Python."""

from typing import Any, Tuple


def reduce(obj: Any) -> Any:
    """Return the reduced form; NotImplemented if a task waits for the object, or if a queue was shut down."""
    if any(getattr(obj, name, None) for name in ("_waiters", "_getters", "_putters", "_is_shutdown")):
        return NotImplemented
    kind = type(obj)
    if hasattr(obj, "maxsize"):
        return kind, (obj.maxsize,), (list(obj._queue), obj._unfinished_tasks), None, None, fill_queue  # noqa: SLF001
    if hasattr(obj, "_bound_value"):
        return kind, (obj._bound_value,), ("_value", obj._value), None, None, fill_lock  # noqa: SLF001
    name = next(name for name in ("_locked", "_lock", "_value") if name in vars(obj))
    value = getattr(obj, name)
    if name == "_lock":  # a condition, which shares it
        return kind, (value,)
    return kind, (), (name, value), None, None, fill_lock


def fill_queue(queue: Any, state: Tuple[Any, int]) -> None:
    """Put the content into a queue: in its order, which is a heap's in a queue of priorities."""
    content, unfinished = state
    queue._queue.extend(content)  # noqa: SLF001
    queue._unfinished_tasks = unfinished  # noqa: SLF001
    if unfinished:
        queue._finished.clear()  # noqa: SLF001 -- else ``join`` would not wait


def fill_lock(lock: Any, state: Tuple[str, Any]) -> None:
    """Set the one attribute of a lock, semaphore or event that is its content."""
    setattr(lock, *state)
