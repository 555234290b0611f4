"""The sessions of the user: those of this kernel, and those that other kernels have started in a namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from ..config.options import RunOptions
from ..config.quantities import byte_size
from ..manage.session_pods import SessionPod, list_session_pods
from ..runner.durations import duration
from ..runner.safe_text import safe_text
from ..sessions import registry
from ..sessions.session import Session

COLUMNS = ("session", "state", "variables", "ends without a cell in", "memory", "python", "kernel", "runs in")
THIS_KERNEL, ANOTHER_KERNEL, NO_KERNEL = "this one", "another", "none"


@dataclass(frozen=True)
class SessionRow:
    """One session.

    Args:
        name: Its name.
        state: Idle, busy, or the state of its pod.
        names: Its variables as of the end of the last cell; None if unknown.
        idle_left: Seconds after which it ends without a cell; None while a cell runs, or if unknown.
        memory: Bytes that its container uses; None if unknown.
        memory_limit: Limit of that in bytes; None if there is none, or if unknown.
        python: Version of its Python; empty if unknown.
        kernel: Which kernel is connected to it; empty if unknown.
        location: Its pod, or the process on this machine.
        pod: Its pod, as it was listed; None for a session of this kernel on this machine or in another namespace.
    """

    name: str
    state: str
    names: tuple[str, ...] | None
    idle_left: float | None
    memory: int | None
    memory_limit: int | None
    python: str
    kernel: str
    location: str
    pod: SessionPod | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the row, one for each column."""
        texts = (
            self.name,
            self.state,
            "-" if self.names is None else str(len(self.names)),
            "-" if self.idle_left is None else duration(self.idle_left),
            self.memory_text,
            self.python or "-",
            self.kernel or "-",
            self.location,
        )
        return tuple(map(safe_text, texts))

    @property
    def memory_text(self) -> str:
        """The memory that its container uses, of its limit."""
        if self.memory is None:
            return "-"
        of_limit = "" if self.memory_limit is None else f" of {byte_size(self.memory_limit)}"
        return f"{byte_size(self.memory)}{of_limit}"

    async def end(self) -> None:
        """End the session.

        Raises:
            ClusterError: Its pod cannot be deleted.
        """
        if self.kernel == THIS_KERNEL:
            for each in registry.open_sessions():
                if each.name == self.name:
                    await each.end_now()
        elif self.pod is not None:
            await self.pod.delete()


async def list_sessions(options: RunOptions) -> list[SessionRow]:
    """Return the sessions of this kernel, and the user's others in a namespace.

    Args:
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: No cluster is configured, or listing pods is not allowed.
    """
    pods = await list_session_pods(options)
    open_here = {each.task_name: each for each in registry.open_sessions()}
    rows = await asyncio.gather(*(_row_of_pod(each, open_here.get(each.pod.name)) for each in pods))
    listed = {each.pod.name for each in pods}
    return [*own_sessions(each for name, each in open_here.items() if name not in listed), *rows]


def own_sessions(sessions: Iterable[Session] | None = None) -> list[SessionRow]:
    """Return sessions of this kernel as it knows them, without asking a cluster.

    Args:
        sessions: Some of them; None for all.
    """
    return [
        SessionRow(
            each.name,
            "busy" if each.is_busy else "idle",
            tuple(sorted(each.names)),
            each.idle_seconds_left,
            each.memory,
            each.memory_limit,
            each.python,
            THIS_KERNEL,
            each.location,
        )
        for each in (registry.open_sessions() if sessions is None else sessions)
    ]


async def _row_of_pod(found: SessionPod, session: Session | None) -> SessionRow:
    # Start-up cost: a local session needs no client library.
    from ..sessions.visit import try_to_read_state

    pod, location = found.pod, f"pod {found.pod.name}"
    state = None if pod.has_no_log_yet else await try_to_read_state(found)
    kernel = "" if session is None else THIS_KERNEL
    if state is None:
        return SessionRow(pod.session, pod.state, None, None, None, None, "", kernel, location, found)
    return SessionRow(
        pod.session,
        "busy" if state.is_busy else "idle",
        tuple(sorted(state.names)),
        None if state.is_busy else state.idle_left,
        state.memory,
        state.memory_limit,
        state.python,
        kernel or (ANOTHER_KERNEL if state.is_followed else NO_KERNEL),
        location,
        found,
    )
