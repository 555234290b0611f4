"""Threads and processes that a cell leaves running: wait a second, end them, and report them."""

import os
import signal
import sys
import threading
import time
from typing import Any, Dict, List, Set

LEFTOVER_SECONDS = 1.0
POLL_SECONDS = 0.02  # between two checks; not every system has an event for the end of a descendant
# Words in the commands of processes that libraries start for themselves. The trackers end with the worker, and
# clean up then; processes that wait for work are ended without a word.
TRACKER_COMMANDS = ("resource_tracker", "semaphore_tracker", "multiprocessing.forkserver")
POOL_COMMANDS = ("loky.backend",)
POOL_NAMES = ("Dask ", "LokyProcess")  # how the names of such processes of multiprocessing begin
MAX_COMMAND_CHARS = 60
MAX_NAMES, MAX_NAME_CHARS = 50, 500


def abbreviate(names: List[str]) -> List[str]:
    """Return names for display: shorten long ones, and replace those beyond a maximum by their number."""
    found = [name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS]}…" for name in names]
    return [*found[:MAX_NAMES], f"{len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else found


def end_leftovers(seconds: float) -> List[str]:
    """Wait for threads and processes of the cell; kill the remaining processes; return the names of all that remained.

    Args:
        seconds: Maximum wait.
    """
    deadline = time.monotonic() + seconds
    threads = running_threads()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    names = [f"thread {thread.name!r}" for thread in threads if thread.is_alive()]
    children = _wait_for_descendants(deadline)
    pools = _pool_processes(children)
    _stop_refilling_pools()
    labels = _process_labels(children)
    for pid in children:
        if pid not in pools:
            names.append(f"process {pid} {labels[pid]}")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # the process has ended meanwhile
    if children:
        _wait_for_descendants(time.monotonic() + LEFTOVER_SECONDS)
    return names


def _wait_for_descendants(deadline: float) -> Dict[int, str]:
    """Wait for the descendants; return those that are still running at the deadline."""
    children = descendants()
    while children.keys() - _pool_processes(children) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        children = descendants()
    return children


def _stop_refilling_pools() -> None:
    """Stop the threads of multiprocessing that replace the ended processes of a pool: the exit handlers wait for all.

    The arguments of the finalizer are those of ``Pool._terminate_pool``:
    https://github.com/python/cpython/blob/3.13/Lib/multiprocessing/pool.py
    """
    registry = getattr(sys.modules.get("multiprocessing.util"), "_finalizer_registry", {})
    for finalizer in list(registry.values()):
        if getattr(getattr(finalizer, "_callback", None), "__name__", "") == "_terminate_pool":
            change_notifier, worker_handler = finalizer._args[4:6]  # noqa: SLF001 -- multiprocessing gives no other way
            worker_handler._state = "TERMINATE"  # noqa: SLF001 -- as Pool.terminate() does
            change_notifier.put(None)
            worker_handler.join(LEFTOVER_SECONDS)


def running_threads() -> List[threading.Thread]:
    """Return the threads that work for the cell, without idle pools and helper threads of libraries."""
    frames = sys._current_frames()  # noqa: SLF001 -- documented, in spite of its name
    found = []
    for thread in threading.enumerate():
        if thread is threading.current_thread() or not thread.is_alive():
            continue
        if thread.daemon and not _is_started_by_cell(thread):
            continue
        frame = frames.get(thread.ident or 0)
        if _is_idle_manager(thread) or (frame is not None and _is_idle_pool_thread(frame)):
            continue
        found.append(thread)
    return found


def _is_started_by_cell(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    return "__main__" in (type(thread).__module__, getattr(target, "__module__", None))


def _is_idle_pool_thread(frame: Any) -> bool:
    """Return whether a thread belongs to a pool and waits for work."""
    code = frame.f_code
    return bool(code.co_name == "_worker" and code.co_filename.endswith("futures/thread.py"))


def _is_idle_manager(thread: threading.Thread) -> bool:
    """Return whether a thread manages a pool of processes of concurrent.futures or joblib that has no work."""
    manages = type(thread).__name__ == "_ExecutorManagerThread"
    return manages and not getattr(thread, "pending_work_items", True)


def descendants() -> Dict[int, str]:
    """Return pid -> command of all processes that this one has started, directly or indirectly.

    The result is empty without /proc; the supervisor kills the process group in any case.
    """
    parents: Dict[int, int] = {}
    sessions: Set[int] = set()
    own_pid = os.getpid()
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                words = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # the process has ended meanwhile
        if words[0] in (b"Z", b"X"):
            continue
        parents[pid] = int(words[1])
        if int(words[3]) == own_pid:
            sessions.add(pid)
    found = {pid for pid in parents if pid in sessions or _descends_from(pid, own_pid, parents)} - {own_pid}
    commands = {pid: _command(pid) for pid in sorted(found)}
    return {
        pid: command
        for pid, command in commands.items()
        if not any(word in command for word in TRACKER_COMMANDS)
    }


def _pool_processes(children: Dict[int, str]) -> Set[int]:
    """Return the pids of the processes that wait for work in the pools of libraries."""
    found = {pid for pid, name in _multiprocessing_names().items() if name.startswith(POOL_NAMES)}
    return (found & children.keys()) | {
        pid for pid, command in children.items() if any(word in command for word in POOL_COMMANDS)
    }


def _multiprocessing_names() -> Dict[int, str]:
    """Return pid -> name of the processes that multiprocessing has started."""
    process = sys.modules.get("multiprocessing.process")
    return {child.pid: child.name for child in list(getattr(process, "_children", ()))}


def _process_labels(children: Dict[int, str]) -> Dict[int, str]:
    """Return pid -> label of a process: its name in multiprocessing, else its command."""
    names = _multiprocessing_names()
    own_command = _command(os.getpid())
    labels = {}
    for pid, command in children.items():
        label = names.get(pid) or ("forked by the cell" if command == own_command else command)
        labels[pid] = label if len(label) <= MAX_COMMAND_CHARS else f"{label[: MAX_COMMAND_CHARS - 1]}…"
    return labels


def _descends_from(pid: int, ancestor: int, parents: Dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode("utf-8", "replace").strip()
