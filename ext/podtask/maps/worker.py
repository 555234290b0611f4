"""One worker of a map: an ordinary task, whose job is to take items."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..backends.base import Backend, Termination
from ..channel.channel import Channel
from ..channel.item_channel import Item, ItemChannel, ItemResult
from ..channel.job import Job, RunnerResult
from ..errors import NoStream
from ..lifecycle.interfaces import TaskListener
from ..lifecycle.prepare import PreparedCell
from ..lifecycle.start import NewRunner
from ..lifecycle.task import Task
from ..manifest.identity import Identity
from ..manifest.pod_manifest import PodManifest

SHORT_SECONDS = 1.0  # a worker has further items waiting while its items take less than this
AHEAD = 2


class WorkerListener(Protocol):
    """Receives what becomes of the items of a worker; called in the event loop."""

    def on_ready(self, worker: MapWorker) -> None:
        """Receive a worker that takes items."""

    def on_result(self, worker: MapWorker, result: ItemResult) -> None:
        """Receive the result of an item."""

    def on_result_dropped(self, worker: MapWorker, index: int) -> None:
        """Receive the index of an item that has run, but whose result is gone."""

    def on_output(self, index: int, data: bytes) -> None:
        """Receive output of an item."""


class MapWorker:
    """One worker, as an ``ItemListener`` of its channel.

    Args:
        prepared: The cell with the inputs that all items share.
        returned: Names of the variables that are the result of an item; none for the last value.
        listener: Receives what becomes of its items.
        map_name: Name of the map.
        bring_modules: Whether items bring local modules along.

    Attributes:
        task: Its task.
        open: Indexes of the items that it has, in order; it runs the first one.
        ends: Whether it was told that no items follow.
        retires: Whether it takes no further items.
        is_interrupted: Whether an item has ended with KeyboardInterrupt, so that the worker ends, too.
    """

    def __init__(
        self,
        prepared: PreparedCell,
        returned: tuple[str, ...],
        listener: WorkerListener,
        map_name: str,
        bring_modules: bool = False,
    ) -> None:
        self._listener = listener
        self._channel: ItemChannel | None = None
        self._seconds: float | None = None  # of its items, lately
        self.open: deque[int] = deque()
        self.ends = False
        self.retires = False
        self.is_interrupted = False
        self.task = Task(WorkerLauncher(prepared, returned, self, map_name, bring_modules))
        self.task.map_name = map_name

    @property
    def is_ready(self) -> bool:
        """Whether it has taken, or can take, items."""
        return self._channel is not None

    @property
    def running(self) -> list[int]:
        """The index of the item that it runs; an empty list without items. May be called from any thread."""
        return list(self.open)[:1]

    @property
    def room(self) -> int:
        """How many items it may be sent now."""
        if self._channel is None or self.ends or self.retires or self.is_interrupted:
            return 0
        is_short = self._seconds is not None and self._seconds < SHORT_SECONDS
        return 1 + (AHEAD if is_short else 0) - len(self.open)

    def send(self, item: Item) -> None:
        """Send an item."""
        assert self._channel is not None
        self.open.append(item.index)
        self._channel.send_item(item)

    def end(self) -> None:
        """Tell it that no items follow; a worker that has not started is cancelled."""
        if self.ends:
            return
        self.ends = True
        if self._channel is None:
            self.task.cancel_nowait()
        else:
            self._channel.end_items()

    def interrupt(self) -> None:
        """End it; interrupt the item that runs."""
        runs = self.is_ready and bool(self.open)
        self.end()
        if runs:
            self.task.interrupt()

    # -- what its channel reports ------------------------------------------------------------------

    def on_worker_ready(self, channel: ItemChannel) -> None:
        """Receive the channel, at its first connection."""
        self._channel = channel
        self._listener.on_ready(self)

    def on_item_result(self, result: ItemResult) -> None:
        """Receive the result of an item."""
        self._seconds = result.seconds if self._seconds is None else (self._seconds + result.seconds) / 2
        self.open.remove(result.index)
        self._listener.on_result(self, result)

    def on_result_lost(self, index: int) -> None:
        """Receive the index of an item whose result is gone."""
        self.open.remove(index)
        self._listener.on_result_dropped(self, index)

    def on_item_output(self, data: bytes) -> None:
        """Receive output of the item that runs now."""
        if self.open:
            self._listener.on_output(self.open[0], data)


class WorkerLauncher(NewRunner):
    """The launcher of a worker.

    Args:
        prepared: The cell with the inputs that all items share.
        returned: Names of the variables that are the result of an item.
        worker: Receives what its channel reports.
        map_name: Name of the map.
        bring_modules: Whether items bring local modules along.
    """

    def __init__(
        self,
        prepared: PreparedCell,
        returned: tuple[str, ...],
        worker: MapWorker,
        map_name: str,
        bring_modules: bool,
    ) -> None:
        super().__init__(prepared)
        self._map_name = map_name
        self._bring_modules = bring_modules
        self._returned = returned
        self._worker = worker

    def retry_reason(self, end: Termination | RunnerResult | NoStream) -> str:
        """Return why the worker starts again in a new pod; empty once it has taken items: others take over then."""
        if self._worker.is_ready or isinstance(end, NoStream):
            return ""
        return super().retry_reason(end)

    @property
    def _unstamped(self) -> PodManifest:
        return super()._unstamped.for_map(self._map_name)

    def _channel(
        self, backend: Backend, identity: Identity, job_for: Callable[[str], Job], listener: TaskListener
    ) -> Channel:
        return ItemChannel(backend, identity.key, identity.secret, job_for, listener, self._worker)

    def _job_maker(self, manifest: PodManifest, listener: TaskListener) -> Callable[[str], Job]:
        job_for = super()._job_maker(manifest, listener)
        items = {"returned": list(self._returned), "bring_modules": self._bring_modules}
        more: dict[str, Any] = {"items": items, "outputs": [], "watched": []}

        def items_job_for(python: str) -> Job:
            job = job_for(python)
            return dataclasses.replace(job, meta={**job.meta, **more, "log_result": False})

        return items_job_for
