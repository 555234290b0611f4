"""How a task gets at its runner when another kernel, or an earlier one, has started that."""

from __future__ import annotations

from collections.abc import Mapping

from ..backends.base import Termination
from ..backends.pod import Pod
from ..channel.channel import Channel
from ..channel.job import RunnerResult
from ..channel.log_channel import LogChannel
from ..config.option_types import parse_task_name
from ..config.options import RunOptions
from ..errors import NoStream, TaskError
from ..manage.lookup import look_up
from ..pickling.hints import missing_module_hint
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
        self.name = parse_task_name(name)
        self.pack_seconds = 0.0

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """Nothing: it was sent by another kernel."""
        return {}

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return nothing: this kernel does not have the cell."""
        return ""

    def hint_for(self, error: BaseException) -> str:
        """Return a one-line hint for an error of the cell; empty if there is none."""
        return missing_module_hint(error) if isinstance(error, ModuleNotFoundError) else ""

    async def start_runner(self, listener: TaskListener) -> StartedRunner:
        """Finds the pod.

        Raises:
            PodtaskError: there is none, it is not a task's, or its result was taken.
        """
        api, namespace, found, others = await look_up(self.name, self.options)
        key = found.key
        listener.on_manifest(found)
        if others:
            listener.on_note(
                f"{len(others) + 1} tasks are called {self.name}; this is the newest. "
                f"Others: {', '.join(others)}"
            )
        if found.is_result_taken:
            raise TaskError(
                f"The result of {found.name} was taken already ({found.cell_status}); it is not run again.",
                f"%podtask logs {found.name} shows its output, %podtask delete {found.name} removes it.",
            )
        self.options = found.options
        backend = Pod.adopt(api, namespace, found, listener)
        where = f"pod {found.name}, container {found.primary}"
        if found.is_batch:
            return StartedRunner(backend, LogChannel(backend, key, listener), where)
        return StartedRunner(backend, Channel(backend, key, None, listener), where)
