"""Ask for the state of a session that another kernel has, and extend it, without taking it over."""

from __future__ import annotations

import asyncio
import logging

from ..backends.pod import Pod
from ..channel.session_visit import SessionState, SessionVisit
from ..errors import ClusterError, TaskError
from ..manage.session_pods import SessionPod
from .listener import SessionListener

log = logging.getLogger(__name__)
VISIT_SECONDS = 5.0


async def read_state(found: SessionPod, extend: float | None = None) -> SessionState | None:
    """Return the state of a session; None if no cell was sent to its pod yet.

    Args:
        found: Its pod.
        extend: Seconds that it is to live at least; None to leave that as it is.

    Raises:
        TaskError: It does not answer, or another version of podtask has started it.
        ClusterError: The cluster refuses a connection to the pod.
    """
    found.pod.check_protocol()
    backend = Pod.adopt(found.namespace, found.pod, SessionListener())
    visit = SessionVisit(found.pod.key, found.secret, extend)
    try:
        return await asyncio.wait_for(backend.connect(visit.run), VISIT_SECONDS)
    except asyncio.TimeoutError:
        raise TaskError(
            f"Session {found.pod.session} ({found.pod.name}) has not answered in {VISIT_SECONDS:.0f} s.",
            f"%podtask list shows the state of its pod, %podtask end {found.pod.session} deletes it.",
        ) from None
    finally:
        backend.release()


async def try_to_read_state(found: SessionPod) -> SessionState | None:
    """Return the state of a session; None if it does not tell: it is listed nevertheless."""
    try:
        return await read_state(found)
    except (ClusterError, TaskError) as error:
        log.debug("%s: the state of its session is unknown: %s", found.pod.name, error)
        return None
