"""The channel to a worker of a map: sends it items, and receives the result of each once.

A connection may break at any byte. The runner says at each connection how many whole items it has; the others are sent
again. Results have sequence numbers, as all output has.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..backends.base import Backend, RunnerListener
from ..event_loop import ignore_result
from ..runner import protocol
from .channel import Channel, _Link
from .frame_check import check_frame
from .job import Job, RunnerResult

MAX_RECORD_BYTES = protocol.MAX_RECORD_BYTES // 2  # frames that are sent in one record


@dataclass(frozen=True)
class Item:
    """One item of a map, as it is sent.

    Args:
        index: Its index in the map.
        data: The pickle of its variables, then the buffers.
        sizes: Sizes of the pickle and of each buffer; empty if there is only the pickle.
        about: Metadata of ``Inputs``, if its variables are packed as those of a cell are; None otherwise.
    """

    index: int
    data: bytes
    sizes: tuple[int, ...] = ()
    about: dict[str, Any] | None = None


@dataclass(frozen=True)
class ItemResult:
    """The result of one item, as it was received.

    Args:
        index: Index of the item in the map.
        seconds: How long it ran.
        end: What was pickled, or the error, as in the metadata of a result frame; None for a plain value.
        data: The pickle, then the buffers.
    """

    index: int
    seconds: float
    end: dict[str, Any] | None
    data: bytes

    @property
    def is_error(self) -> bool:
        """Whether the item has raised an error, or its value cannot be returned."""
        return self.end is not None and (
            self.end["status"] != protocol.STATUS_OK or bool(self.end.get("kept"))
        )

    @property
    def is_interrupted(self) -> bool:
        """Whether the item has ended with KeyboardInterrupt."""
        error = self.end.get("error") if self.end is not None else None
        return error is not None and error["errors"][0]["type"] == "KeyboardInterrupt"


class ItemListener(Protocol):
    """Receives what concerns the items of one worker; called in the event loop."""

    def on_worker_ready(self, channel: ItemChannel) -> None:
        """Receive the channel, at its first connection: the worker takes items."""

    def on_item_result(self, result: ItemResult) -> None:
        """Receive the result of an item."""

    def on_result_lost(self, index: int) -> None:
        """Receive the index of an item that has run, but whose result the runner could not keep."""

    def on_item_output(self, data: bytes) -> None:
        """Receive output of the item that runs now."""


@dataclass
class _Sent:
    """An item whose result has not come, with the number that it has for its worker."""

    number: int
    item: Item


class ItemChannel(Channel):
    """The channel of a worker of a map.

    Args:
        backend: Connects to the runner.
        key: Key of the worker, in hexadecimal digits.
        secret: The owner's secret.
        job_for: Returns the job for a runner of the given Python version.
        listener: Receives the output and the phases of the worker.
        items: Receives the results.
    """

    def __init__(
        self,
        backend: Backend,
        key: str,
        secret: str | None,
        job_for: Callable[[str], Job] | None,
        listener: RunnerListener,
        items: ItemListener,
    ) -> None:
        super().__init__(backend, key, secret, job_for, listener)
        self._items = items
        self._numbers = itertools.count(1)
        self._open: deque[_Sent] = deque()
        self._passed_on = 0  # number of the last item that this connection has sent, or that the runner has
        self._ends = False
        self._has_sent_end = False
        self._is_ready = False  # whether a connection has been made
        self._wake = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._pieces: list[bytes] = []

    def send_item(self, item: Item) -> None:
        """Send an item, in the order of these calls; after a cut connection, with the next one."""
        self._open.append(_Sent(next(self._numbers), item))
        self._wake.set()

    def end_items(self) -> None:
        """Tell the worker that no items follow, so that it ends when it has run all it has."""
        self._ends = True
        self._wake.set()

    async def run(self) -> RunnerResult:
        """Receive frames until the worker has ended; return its result."""
        try:
            return await super().run()
        finally:
            self._stop_sending()

    def _stop_sending(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            ignore_result(self._sender)
            self._sender = None

    async def _resume(self, link: _Link, hello: dict[str, Any]) -> list[asyncio.Task[None]]:
        states = {each["exec"]: each for each in hello["executions"]}
        received = int(states.get(self._execution, {}).get("items", 0))
        uploads = await super()._resume(link, hello)
        self._begin_sending(link, received, uploads)
        return uploads

    async def _handle_frame(self, link: _Link, frame: protocol.Frame) -> RunnerResult | None:
        if frame.kind == protocol.HELLO and link.fresh:
            self._begin_sending(link, 0, [])
        if frame.kind == protocol.ITEM_RESULT:
            check_frame(frame)
            if frame.seq > self._last_seq:
                self._last_seq = frame.seq
                self._receive_result(frame)
            return None
        is_new = frame.kind in protocol.SPOOLED and frame.seq > self._last_seq
        result = await super()._handle_frame(link, frame)
        if is_new and frame.kind == protocol.STREAM:
            self._items.on_item_output(frame.data)
        elif is_new and frame.kind == protocol.GAP:
            self._pieces.clear()
        elif is_new and frame.kind == protocol.INPUT_REQUEST:
            await self.reply({"eof": True})  # nobody answers the questions of many workers
        return result

    def _receive_result(self, frame: protocol.Frame) -> None:
        self._pieces.append(frame.data)
        if frame.meta.get("more"):
            return
        data, number = b"".join(self._pieces), int(frame.meta["k"])
        self._pieces.clear()
        while self._open and self._open[0].number < number:  # a worker runs its items in order
            self._items.on_result_lost(self._open.popleft().item.index)
        if not self._open or self._open[0].number != number:
            return
        index = self._open.popleft().item.index
        end = frame.meta.get("end")
        if end is not None and sum(end["sizes"]) != len(data):  # its first pieces were dropped
            self._items.on_result_lost(index)
            return
        self._items.on_item_result(ItemResult(index, float(frame.meta["seconds"]), end, data))

    def _begin_sending(self, link: _Link, received: int, uploads: list[asyncio.Task[None]]) -> None:
        """Send the items that the runner does not have, after the job.

        Args:
            link: The new connection.
            received: How many whole items the runner has.
            uploads: Send the job first.
        """
        self._stop_sending()
        self._passed_on, self._has_sent_end = received, False
        self._sender = asyncio.ensure_future(self._send_items(link, list(uploads)))
        if not self._is_ready:
            self._is_ready = True
            self._items.on_worker_ready(self)

    async def _send_items(self, link: _Link, uploads: list[asyncio.Task[None]]) -> None:
        if uploads:
            await asyncio.wait(uploads)
        try:
            while True:
                self._wake.clear()
                await self._send_waiting(link)
                await self._wake.wait()
        except OSError:
            await link.stream.close()  # the reader sees the end, and reconnects

    async def _send_waiting(self, link: _Link) -> None:
        frames: list[bytes] = []
        size = 0
        for sent in list(self._open):
            if sent.number <= self._passed_on:
                continue
            for frame in self._frames_of(sent):
                if size + len(frame) > MAX_RECORD_BYTES and frames:
                    await link.send(*frames)
                    frames, size = [], 0
                frames.append(frame)
                size += len(frame)
            self._passed_on = sent.number
        if (
            self._ends
            and not self._has_sent_end
            and all(sent.number <= self._passed_on for sent in self._open)
        ):
            self._has_sent_end = True
            meta = {"exec": self._execution, "end": True, "have": self._last_seq}
            frames.append(protocol.encode(protocol.ITEM, meta))
        if frames:
            await link.send(*frames)

    def _frames_of(self, sent: _Sent) -> Iterator[bytes]:
        """Yield the frames of an item."""
        data = sent.item.data
        meta = {"exec": self._execution, "k": sent.number, "i": sent.item.index, "have": self._last_seq}
        count = max(1, -(-len(data) // protocol.MAX_DATA))
        for part in range(count):
            piece = data[part * protocol.MAX_DATA : (part + 1) * protocol.MAX_DATA]
            more = {"part": part, "more": True} if part + 1 < count else {"part": part}
            last: dict[str, Any] = {}
            if part + 1 == count:
                last = {"sizes": sent.item.sizes} if sent.item.sizes else {}
                last |= {"about": sent.item.about} if sent.item.about is not None else {}
            yield protocol.encode(protocol.ITEM, {**meta, **more, **last}, piece)
