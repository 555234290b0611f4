"""The verdict on a cell: what its process said, or how it died, as the end frame."""

import hashlib
import json
import os
import signal
from typing import Any, Dict, Optional, Tuple

from .child import Child

INLINE = 256 << 10  # bytes of results that travel inside the end frame
CHUNK = 1 << 20


def verdict(
    child: Child, said: Optional[Dict[str, Any]], why: str, name: str
) -> Tuple[Dict[str, Any], bytes]:
    """Returns meta and data of the end frame.

    Args:
        child: the worker, which has ended.
        said: the meta of the worker's own end frame, None where it never came to that.
        why: what stopped it from outside (timeout, terminated), else empty.
        name: of the execution.
    """
    end = dict(said) if said is not None else {"status": "crashed", **_died(child.status or 0)}
    if why and end["status"] != "ok":
        end["status"] = why
    fd = child.results.fileno()
    end["exec"] = name
    end["size"] = os.fstat(fd).st_size if said is not None else 0
    end["sha256"] = _sha256(fd, end["size"])
    data = os.pread(fd, end["size"], 0) if end["size"] <= INLINE else b""
    return end, data


def leave_note(end: Dict[str, Any]) -> None:
    """Leaves a short record for who looks at the pod later (kubectl describe)."""
    short = {key: end[key] for key in ("status", "signal", "exit") if key in end}
    try:
        with open("/dev/termination-log", "r+") as log:
            log.write(json.dumps(short) + "\n")
    except OSError:
        return  # not in a pod, or a read-only one: the end frame says it all


def _died(status: int) -> Dict[str, Any]:
    if os.WIFSIGNALED(status):
        return {"signal": signal.Signals(os.WTERMSIG(status)).name}
    return {"exit": os.WEXITSTATUS(status)}


def _sha256(fd: int, size: int) -> str:
    digest = hashlib.sha256()
    for offset in range(0, size, CHUNK):
        digest.update(os.pread(fd, min(CHUNK, size - offset), offset))
    return digest.hexdigest()
