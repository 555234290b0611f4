"""The result frame of a cell: what its worker reported, or how the worker died."""

import json
import os
import signal
import sys
from typing import Any, Callable, Dict, Optional, Tuple

from .. import protocol
from ..debug_log import logger
from ..worker import import_hooks
from .results import Results
from .worker_process import WorkerProcess

OOM_FILES = (  # cgroup version 2, then 1: the file that counts OOM kills, and the file with the limit
    ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.max"),
    ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
PEAK_MEMORY_FILES = (  # cgroup version 2, then 1: the peak memory of the container, page cache included
    "/sys/fs/cgroup/memory.peak",
    "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
)
_known_kills = 0  # OOM kills that the result of a cell has reported
MAX_INLINE_BYTES = 256 << 10  # values up to this size are part of the result frame


def result_frame(
    worker: WorkerProcess,
    reported: Optional[Dict[str, Any]],
    stop_reason: str,
    job: Dict[str, Any],
    results: Results,
) -> Tuple[Dict[str, Any], bytes]:
    """Return meta and data of the result frame.

    Args:
        worker: The worker, which has ended.
        reported: Meta of the worker's own result frame; None if it sent none.
        stop_reason: What stopped the worker from outside (timeout, terminated); otherwise empty.
        job: Meta of the run frame.
        results: The values that the worker has pickled; incomplete if it died.
    """
    end = (
        dict(reported)
        if reported is not None
        else {"status": protocol.STATUS_CRASHED, **_exit_details(worker.status or 0)}
    )
    if reported is not None and not job.get("local"):
        end.update(_oom_limit())  # of a child process, whose death the cell survived
    if stop_reason and end["status"] != protocol.STATUS_OK:
        end["status"] = stop_reason
    end["exec"] = job["exec"]
    end["usage"] = {**_resource_usage(bool(job.get("local"))), **end.pop("used", {})}
    results.finish(reported)
    end["size"] = results.size
    data = results.read_if_small(MAX_INLINE_BYTES) if end["size"] else b""
    return end, data


def write_termination_message(end: Dict[str, Any]) -> None:
    """Write a short summary that ``kubectl describe`` shows for the container."""
    summary = {key: end[key] for key in ("status", "signal", "exit") if key in end}
    try:
        with open("/dev/termination-log", "r+") as log:
            log.write(json.dumps(summary) + "\n")
    except OSError as error:  # not in a pod, or it is read-only; the result frame has the same data
        logger.debug("no termination message: %s", error)


def write_record(spool: Any, results: Any, log: Any, prove: Callable[..., str], values: bool) -> None:
    """Write the record of an ended cell to the log of the container.

    Args:
        spool: The frames.
        results: The values.
        log: The log of the container.
        prove: Returns the HMAC of the task's key.
        values: Whether the values may be written to the log.
    """
    import_hooks.install(None)
    # Start-up cost: most tasks never need it.
    from . import record_writer

    log.finish(record_writer.record_lines(spool, results, log, prove, values))


def _resource_usage(local: bool) -> Dict[str, float]:
    """Return the resources that the cell and all its processes have used.

    "cpu" is in seconds. "process" is the peak memory of a single process in bytes. "container" is the peak
    memory of the whole container in bytes, if the runner is in one and the kernel reports it.
    """
    # Start-up cost: loaded when it is first needed.
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    found = {"cpu": round(usage.ru_utime + usage.ru_stime, 3), "process": usage.ru_maxrss * unit}
    for peak in () if local else PEAK_MEMORY_FILES:
        try:
            with open(peak) as file:
                found["container"] = int(file.read())
            break
        except (OSError, ValueError):
            pass  # the other cgroup version, or a kernel before 5.19
    return found


def _exit_details(status: int) -> Dict[str, Any]:
    if not os.WIFSIGNALED(status):
        return {"exit": os.WEXITSTATUS(status)}
    details: Dict[str, Any] = {"signal": signal.Signals(os.WTERMSIG(status)).name}
    if details["signal"] == "SIGKILL":
        details.update(_oom_limit())
    return details


def _oom_limit() -> Dict[str, Any]:
    """Return the memory limit of the container in bytes if the kernel has killed a process for exceeding it.

    A kill counts for the cell at whose end it is seen, not for those that run later in the same container.
    """
    global _known_kills
    for counts, limit in OOM_FILES:
        try:
            with open(counts) as file:
                killed = dict(line.split()[:2] for line in file).get("oom_kill", "0")
            with open(limit) as file:
                limit_bytes = int(file.read())
            is_new, _known_kills = int(killed) > _known_kills, int(killed)
            return {"oom": limit_bytes} if is_new else {}
        except (OSError, ValueError):
            pass  # the other cgroup version, or there is no limit ("max")
    return {}
