"""The event loop that a cell finds running, as in a kernel.

A kernel executes a cell inside its event loop, so ``asyncio.create_task`` and ``get_running_loop`` work in any code.
Here a loop counts as the running one while the cell is executed, and really runs when the cell's statements are done.
Unlike in a kernel, ``asyncio.run`` and ``run_until_complete`` work, too: for them no loop is running.

It is created when something imports asyncio.
"""

import os
import threading
from typing import Any, Coroutine, List, Optional

_loop: Any = None


def provide() -> None:
    """Create the loop, and let it count as the running loop of the main thread."""
    global _loop
    if threading.current_thread() is not threading.main_thread():
        return
    # Start-up cost: its import takes longer than most cells.
    import asyncio

    # Start-up cost: likewise.
    from asyncio import events

    loop = asyncio.new_event_loop()
    pid = os.getpid()
    # asyncio documents both as the hooks of its own event loops.
    get_running_loop, set_running_loop = events._get_running_loop, events._set_running_loop  # noqa: SLF001

    check_running, runs = loop._check_running, loop.is_running  # type: ignore[attr-defined]  # noqa: SLF001

    def is_running() -> bool:
        return True

    def check_really_running() -> None:
        """Raise RuntimeError if the loop really runs: run_until_complete asks here."""
        loop.is_running = runs  # type: ignore[method-assign]
        try:
            check_running()
        finally:
            loop.is_running = is_running  # type: ignore[method-assign]

    def get_really_running_loop() -> Any:
        """Return the running loop, None if that only counts as running: asyncio.run asks here."""
        found = get_running_loop()
        return None if found is loop and not runs() else found

    vars(loop).update(is_running=is_running, _check_running=check_really_running)

    def set_or_restore_loop(running: Any) -> None:
        is_ours = os.getpid() == pid and threading.current_thread() is threading.main_thread()
        set_running_loop(loop if running is None and is_ours else running)

    for module in (asyncio, events):
        vars(module).update(_get_running_loop=get_really_running_loop, _set_running_loop=set_or_restore_loop)
    set_running_loop(loop)
    _loop = loop


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in the loop that a session keeps; tasks that it starts go on with the next one."""
    if _loop is None or _loop.is_closed():
        provide()
    assert _loop is not None
    return _loop.run_until_complete(work)


def run_until_readable(fd: int) -> None:
    """Run the tasks that cells of a session have left until a descriptor is readable; return at once without any."""
    loop = _loop
    if loop is None or loop.is_closed():
        return
    # Start-up cost: its import takes longer than most cells.
    import asyncio

    # Callbacks that wait for the next turn or for a time are in no list that asyncio documents.
    if not asyncio.all_tasks(loop) and not (getattr(loop, "_ready", ()) or getattr(loop, "_scheduled", ())):
        return
    readable = loop.create_future()
    loop.add_reader(fd, lambda: readable.done() or readable.set_result(None))
    try:
        loop.run_until_complete(readable)
    finally:
        loop.remove_reader(fd)


def finish(seconds: float) -> List[str]:
    """Run the tasks that a cell has started; cancel them after ``seconds`` and return the names of these."""
    loop: Optional[Any] = _loop
    if loop is None or loop.is_closed():
        return []
    # Start-up cost: its import takes longer than most cells.
    import asyncio

    if not asyncio.all_tasks(loop) and not getattr(loop, "_ready", True):
        return []
    unfinished: List[Any] = []

    async def wait() -> None:
        await asyncio.sleep(0)  # for callbacks without a task
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            unfinished.extend((await asyncio.wait(tasks, timeout=seconds))[1])

    async def cancel() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        loop.run_until_complete(wait())
    finally:
        loop.run_until_complete(cancel())
    return [f"asyncio task {task.get_name()!r}" for task in unfinished]
