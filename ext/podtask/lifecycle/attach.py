"""How a task gets at its runner when another kernel, or an earlier one, has started that."""

from __future__ import annotations

import linecache
from collections.abc import Mapping

from ..backends.base import Termination
from ..backends.pod import Pod
from ..channel.channel import Channel
from ..channel.job import RunnerResult
from ..channel.log_channel import LogChannel
from ..config.option_types import task_name
from ..config.options import RunOptions
from ..errors import NoStream, TaskError
from ..manage.lookup import look_up
from ..pickling.hints import missing_module_hint
from ..runner import protocol
from .interfaces import StartedRunner, TaskListener


class ExistingRunner:
    """A task is followed on from where its runner is.

    Args:
        name: of the pod, or the user's for the task.
        options: say which cluster and namespace.
    """

    resumed = True

    def __init__(self, name: str, options: RunOptions) -> None:
        self.options = options
        self.name = task_name(name)
        self.pack_seconds = 0.0

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """Nothing: it was sent by another kernel."""
        return {}

    def again(self, found: Termination | RunnerResult | NoStream) -> str:
        """Returns nothing: what would be run again is not here."""
        return ""

    def hint(self, error: BaseException) -> str:
        """Returns what may mend an error of the cell, in a line; empty where nothing is known."""
        return missing_module_hint(error) if isinstance(error, ModuleNotFoundError) else ""

    async def begin(self, listener: TaskListener) -> StartedRunner:
        """Finds the pod.

        Raises:
            PodtaskError: there is none, it is not a task's, or its result was taken.
        """
        api, namespace, found, others = await look_up(self.name, self.options)
        key = found.key
        listener.planned(found)
        if others:
            listener.note(
                f"{len(others) + 1} tasks are called {self.name}; this is the newest. "
                f"Others: {', '.join(others)}"
            )
        if found.is_result_taken:
            raise TaskError(
                f"The result of {found.name} was taken already ({found.cell_status}); it is not run again.",
                f"%podtask logs {found.name} shows its output, %podtask delete {found.name} removes it.",
            )
        self.options = found.options
        placement = Pod.adopt(api, namespace, found, listener.on_phase, listener.note)

        def on_frame(frame: protocol.Frame) -> None:
            if frame.kind == protocol.STATE and frame.meta.get("source"):
                _remember(str(frame.meta["filename"]), str(frame.meta["source"]))
            listener.on_frame(frame)

        where = f"pod {found.name}, container {found.primary}"
        if found.is_batch:
            return StartedRunner(placement, LogChannel(placement, key, on_frame), where)
        return StartedRunner(placement, Channel(placement, key, None, on_frame), where)


def _remember(filename: str, source: str) -> None:
    """Keeps a cell's lines for tracebacks, where this kernel has none of that name."""
    if not linecache.getlines(filename):
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
