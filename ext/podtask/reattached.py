"""How a task gets at its runner when another kernel, or an earlier one, has started that."""

from __future__ import annotations

import linecache
from collections.abc import Mapping

from .backend import Ending
from .batch import is_batch
from .channel import Channel
from .cluster.api import Api, ApiError
from .course import Begun, Ears
from .errors import InputError, NoStream, TaskError
from .found import SELECTOR, Found
from .job import Verdict
from .kinds import task_name
from .manifest import NAME_LABEL
from .options import RunOptions
from .pods import Pod
from .readout import Readout
from .refusals import denied
from .remote import place
from .runner import wire
from .work import lacks


async def look_up(name: str, options: RunOptions) -> tuple[Api, str, Found, list[str]]:
    """Returns the session, the namespace, the task of that name, and others of the same name.

    Args:
        name: of a pod, or the user's for the task; of several, the newest is meant.
        options: say which cluster and namespace.

    Raises:
        PodtaskError: there is none, or it may not be read.
    """
    api, namespace, where = await place(options)
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        listed = await api.request("GET", path, labelSelector=f"{SELECTOR},{NAME_LABEL}={name}")
        pods = [Found(pod) for pod in listed["items"]]
        if not pods:
            pods = [Found(await api.request("GET", f"{path}/{name}"))]
    except ApiError as error:
        if error.code in (400, 404):
            raise InputError(f"There is no task {name!r} in {where}.",
                             "Its result was taken, or it was deleted; %podtask list shows what is there.") from None  # fmt: skip
        raise denied(error.code, error.message, "list", "pods", where) from None
    pods.sort(key=lambda each: each.pod["metadata"]["creationTimestamp"], reverse=True)
    return api, namespace, pods[0], [each.name for each in pods[1:]]


class Reattached:
    """A task is followed on from where its runner is.

    Args:
        name: of the pod, or the user's for the task.
        options: say which cluster and namespace.
    """

    resumed = True

    def __init__(self, name: str, options: RunOptions) -> None:
        self.options = options
        self.name = task_name(name)
        self.packing = 0.0

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """Nothing: it was sent by another kernel."""
        return {}

    def again(self, found: Ending | Verdict | NoStream) -> str:
        """Returns nothing: what would be run again is not here."""
        return ""

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""
        return lacks(error) if isinstance(error, ModuleNotFoundError) else ""

    async def begin(self, ears: Ears) -> Begun:
        """Finds the pod.

        Raises:
            PodtaskError: there is none, it is not a task's, or its result was taken.
        """
        api, namespace, found, others = await look_up(self.name, self.options)
        key = found.key
        ears.planned(found.name, found.pod)
        if others:
            ears.note(f"{len(others) + 1} tasks are called {self.name}; this is the newest. "
                      f"Others: {', '.join(others)}")  # fmt: skip
        if found.taken:
            raise TaskError(f"The result of {found.name} was taken already ({found.note}); it is not run again.",
                            f"%podtask logs {found.name} shows its output, %podtask delete {found.name} removes it.")  # fmt: skip
        self.options = found.options
        placement = Pod.adopt(api, namespace, found.rendered, ears.on_phase, ears.note)

        def on_frame(frame: wire.Frame) -> None:
            if frame.kind == wire.STATE and frame.meta.get("source"):
                _remember(str(frame.meta["filename"]), str(frame.meta["source"]))
            ears.on_frame(frame)

        where = f"pod {found.name}, container {found.primary}"
        if is_batch(found.rendered):
            return Begun(placement, Readout(placement, key, on_frame), where)
        return Begun(placement, Channel(placement, key, None, on_frame), where)


def _remember(filename: str, source: str) -> None:
    """Keeps a cell's lines for tracebacks, where this kernel has none of that name."""
    if not linecache.getlines(filename):
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
