"""The handle of a task, for its user: what is known of it, and what else can be done to it."""

from __future__ import annotations

import concurrent.futures
import functools
import queue
import sys
import time
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ..backends.base import Snapshot
from ..errors import InputError
from ..formatting import card
from ..frontend import stand
from ..manifest.render import without_key
from .future import TaskFuture
from .outcome import UndecodedValues
from .updates import Update, UpdateLog

LAST_LINES = 20


class Task(TaskFuture):
    """The handle of a submitted cell: a ``concurrent.futures.Future``, and awaitable.

    Args:
        course: how it gets at its runner; it sets out at once.
    """

    def __repr__(self) -> str:
        name = self.name if self.called == self.name else f"{self.called} ({self.name})"
        return f"<Task {name}: {self.status}>"

    def _repr_html_(self) -> str:
        """A line that also stands where nothing runs, and the end of the output to unfold."""
        state = f"{self.status} · {self.seconds:.1f} s" if self.done() else self.phase
        line = f"{self.called} · {state}"
        lines = self.logs().splitlines()[-LAST_LINES:]
        rows = [("pod", escape(self.url)), ("error", escape(str(self.error or "")))]
        return card(line, rows, {"output": "\n".join(lines)} if lines else {})

    def _ipython_display_(self) -> None:
        """Shows that; in its cell it becomes the new state, and stays the last."""
        again = stand(lambda: {"text/plain": repr(self), "text/html": self._repr_html_()})
        if again is not None and not self.done():
            soon = self._follower.loop.asyncio.call_soon_threadsafe  # who is told must not wait
            self.feed.follow(lambda new: soon(again) if new.kind in ("phase", "done") else None)

    @property
    def name(self) -> str:
        """Of the pod."""
        return self._follower.name

    @property
    def called(self) -> str:
        """The name given with ``--as``; the pod's without."""
        return self._follower.launcher.options.name or self.name

    @property
    def status(self) -> str:
        """Pending, Running, ok, error, ... in the words of Kubernetes and of the runner."""
        return self._follower.status

    @property
    def phase(self) -> str:
        """What the cluster last said of it."""
        return self._follower.phase

    @property
    def phase_seconds(self) -> float:
        """How long that is so."""
        return time.monotonic() - self._follower.phase_since

    @property
    def start_time_left(self) -> float:
        """Seconds until it is given up where its pod waits (``--start-timeout``)."""
        return self._follower.start_time_left

    @property
    def where(self) -> str:
        """Pod and container, in words."""
        return self._follower.where

    @property
    def url(self) -> str:
        """Context, namespace and pod, and the kubectl line that shows it."""
        return self._follower.url

    @property
    def channel(self) -> str:
        """How its runner is reached: port-forward, exec, batch or local; empty before there is one."""
        placement = self._follower.placement
        return placement.way if placement is not None else ""

    @property
    def feed(self) -> UpdateLog:
        """All that happened to it, for any number of followers."""
        return self._follower.feed

    @property
    def manifest(self) -> dict[str, Any]:
        """The pod as it was sent, but for the task's key; empty before that."""
        return without_key(self._follower.pod) if self._follower.pod else {}

    @property
    def usage(self) -> dict[str, float]:
        """What the cell used; empty before its end.

        "seconds" and "cpu" seconds; bytes of memory at most of its largest "process", and of the
        whole "container", with the files it read.
        """
        outcome = self._follower.done.result() if self.done() else None
        return {"seconds": outcome.seconds, **outcome.usage} if outcome and outcome.usage else {}

    @functools.cached_property
    def updates(self) -> queue.SimpleQueue[Update]:
        """What has happened and what happens, for who asks in a loop; the last is "done"."""
        made: queue.SimpleQueue[Update] = queue.SimpleQueue()
        self.feed.follow(made.put)
        return made

    @property
    def seconds(self) -> float:
        """Its age, or how long it took."""
        return (self._follower.ended or time.monotonic()) - self._follower.began

    @property
    def local(self) -> bool:
        """Whether it runs on this machine."""
        return self._follower.launcher.options.local

    @property
    def steps(self) -> list[tuple[str, float, float]]:
        """What the cluster said of it: phase, when that began (seconds of its age), how long it was."""
        begun = [(text, since - self._follower.began) for text, since in self._follower.steps]
        ends = [*(since for _, since in begun[1:]), self.seconds]
        return [(text, since, max(0.0, end - since)) for (text, since), end in zip(begun, ends, strict=True)]

    @property
    def inputs(self) -> Mapping[str, tuple[str, int]]:
        """What was sent: name -> (type's name, bytes)."""
        return self._follower.launcher.inputs

    @property
    def values(self) -> dict[str, Any]:
        """What came back by name."""
        return self.outcome().values

    @property
    def error(self) -> BaseException | None:
        """What :meth:`result` would raise; None while it runs."""
        return self._failure(self.outcome()) if self.done() else None

    @property
    def raw(self) -> UndecodedValues | None:
        """The values that could not be decoded here; ``load()`` tries again."""
        return self.outcome().raw

    def add_done_callback(self, call: Callable[[Task], object]) -> None:
        """Calls ``call(task)`` from the background thread when the task has ended."""
        self._follower.done.add_done_callback(lambda _: call(self))

    def logs(self, container: str | None = None) -> str:
        """Returns the output so far; with a container's name, that container's log in the pod."""
        if container is None:
            return self.feed.text().decode("utf-8", "replace")
        if self._follower.placement is None:
            raise InputError("The pod does not exist yet.", "Ask again when it does.")
        return self._follower.loop.start(self._follower.placement.logs(container)).result()

    def why(self) -> str:
        """Returns in a line where the pod is and what to change; after the end, what came of it."""
        if self._follower.placement is None or self._follower.done.done():
            return f"{self.status}: {self.error}" if self.error else self.phase
        return self._follower.loop.start(self._follower.placement.why()).result()

    def events(self) -> list[dict[str, Any]]:
        """Returns the pod's events as the API has them, oldest first."""
        placement = self._follower.placement
        return self._follower.loop.start(placement.events()).result() if placement else []

    def glimpse(self) -> concurrent.futures.Future[Snapshot] | None:
        """Asks for its events so far and its sidecars' last lines; None before there is a pod."""
        placement = self._follower.placement
        return self._follower.loop.start(placement.glimpse()) if placement else None

    def delete(self) -> None:
        """Deletes the pod, of a finished task too."""
        if not self._follower.done.done():
            self.cancel()
        self._delete()

    def assign(self, namespace: dict[str, Any] | None = None) -> list[str]:
        """Puts what came back by name into the notebook's variables; waits for the end.

        Args:
            namespace: where to put them instead.

        Returns:
            The names.

        Raises:
            BaseException: the cell's own error, or a PodtaskError; what came back is assigned.
        """
        outcome = self.outcome()
        target = sys.modules["__main__"].__dict__ if namespace is None else namespace
        target.update(outcome.values)
        if outcome.error is not None:
            raise outcome.error
        return list(outcome.values)

    def reply(self, answer: dict[str, Any]) -> None:
        """Answers a question of the cell: ``{"value": ...}`` or ``{"eof": True}``."""
        if self._follower.channel is not None:
            self._follower.loop.start(self._follower.channel.reply(answer)).result()

    def answer_soon(self, answer: dict[str, Any]) -> None:
        """Answers as :meth:`reply`, without waiting until that is sent."""
        if self._follower.channel is not None:
            self._follower.loop.start(self._follower.channel.reply(answer))
