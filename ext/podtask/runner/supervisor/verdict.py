"""The verdict on a cell: what its process said, or how it died, as the end frame."""

import hashlib
import json
import os
import signal
import sys
from typing import Any, Callable, Dict, Optional, Tuple

from ..worker import import_hooks
from .results import Results
from .worker_process import Child

CGROUPS = (  # version 2, then 1: what counts the kills, and the limit
    ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.max"),
    ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
PEAKS = (  # likewise: the most memory of the container, with the files that it read
    "/sys/fs/cgroup/memory.peak",
    "/sys/fs/cgroup/memory/memory.max_usage_in_bytes",
)
INLINE = 256 << 10  # bytes of results that travel inside the end frame


def verdict(
    child: Child, said: Optional[Dict[str, Any]], why: str, job: Dict[str, Any], results: Results
) -> Tuple[Dict[str, Any], bytes]:
    """Returns meta and data of the end frame.

    Args:
        child: the worker, which has ended.
        said: the meta of the worker's own end frame, None where it never came to that.
        why: what stopped it from outside (timeout, terminated), else empty.
        job: the meta of the run frame.
        results: what the worker has packed; half a pickle where it died.
    """
    end = dict(said) if said is not None else {"status": "crashed", **_died(child.status or 0)}
    if said is not None and not job.get("local"):
        end.update(_out_of_memory())  # of a process that the cell outlived
    if why and end["status"] != "ok":
        end["status"] = why
    end["exec"] = job["exec"]
    end["usage"] = _usage(bool(job.get("local")))
    end["size"] = results.size if said is not None else 0
    data = results.head(INLINE) if end["size"] else b""
    if data:
        end["sha256"] = hashlib.sha256(data).hexdigest()
    return end, data


def leave_note(end: Dict[str, Any]) -> None:
    """Leaves a short record for who looks at the pod later (kubectl describe)."""
    short = {key: end[key] for key in ("status", "signal", "exit") if key in end}
    try:
        with open("/dev/termination-log", "r+") as log:
            log.write(json.dumps(short) + "\n")
    except OSError:
        return  # not in a pod, or a read-only one: the end frame says it all


def leave_record(spool: Any, results: Any, log: Any, prove: Callable[..., str], values: bool) -> None:
    """Writes the record of an ended cell to the container's log.

    Args:
        spool: the frames.
        results: the values.
        log: the container's.
        prove: the HMAC of the task's key.
        values: whether they may go there.
    """
    import_hooks.install(None)
    sys.path[:] = [path for path in sys.path if path]  # no file of the cell's
    from . import log_record  # most tasks never need it

    log.finish(log_record.lines(spool, results, log, prove, values))


def _usage(local: bool) -> Dict[str, float]:
    """Returns what the cell and all that it started have used.

    "cpu": seconds. "process": the most bytes of memory that one process had. "container": the same
    of the whole container, where that is one and its kernel tells.
    """
    import resource

    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    used = {"cpu": round(spent.ru_utime + spent.ru_stime, 3), "process": spent.ru_maxrss * unit}
    for peak in () if local else PEAKS:
        try:
            with open(peak) as file:
                used["container"] = int(file.read())
            break
        except (OSError, ValueError):
            pass  # the other version, or a kernel before 5.19
    return used


def _died(status: int) -> Dict[str, Any]:
    if not os.WIFSIGNALED(status):
        return {"exit": os.WEXITSTATUS(status)}
    died: Dict[str, Any] = {"signal": signal.Signals(os.WTERMSIG(status)).name}
    if died["signal"] == "SIGKILL":
        died.update(_out_of_memory())
    return died


def _out_of_memory() -> Dict[str, Any]:
    """Returns the container's memory limit in bytes, where the kernel has killed for it."""
    for counts, limit in CGROUPS:
        try:
            with open(counts) as file:
                killed = dict(line.split()[:2] for line in file).get("oom_kill", "0")
            with open(limit) as file:
                return {"oom": int(file.read())} if killed != "0" else {}
        except (OSError, ValueError):
            pass  # the other version, or no limit ("max")
    return {}
