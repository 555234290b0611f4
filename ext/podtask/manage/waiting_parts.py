"""Limit the Secrets that the waiting tasks of one user have in one namespace: etcd keeps them in memory.

This kernel knows its own tasks. Those of the user's other kernels are listed while a pod is created, at most once in ten
seconds, so the limit may be exceeded a little by kernels that submit at the same time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterable

from ..cluster.namespace import Namespace
from ..errors import ClusterError
from ..manifest.labels import PARTS_ANNOTATION, USER_LABEL
from ..manifest.task_pod import SELECTOR
from ..manifest.task_secrets import CellPart, parse_sizes

log = logging.getLogger(__name__)
MAX_BYTES = 64_000_000
MAX_AGE_SECONDS = 10.0  # of a list


class WaitingParts:
    """The Secrets with the cells of one user's waiting tasks in one namespace.

    Args:
        namespace: The namespace.
        user: Name of the user, as the value of a label.
    """

    def __init__(self, namespace: Namespace, user: str) -> None:
        self._namespace = namespace
        self._selector = f"{SELECTOR},{USER_LABEL}={user}"
        self._claimed: dict[
            str, dict[str, int]
        ] = {}  # by task of this kernel, in the order of their submission
        self._listed: dict[str, int] = {}  # of all kernels
        self._listed_at = -MAX_AGE_SECONDS
        self._listing: asyncio.Task[None] | None = None

    def claim(self, task: str, parts: Iterable[CellPart]) -> bool:
        """Count the parts of a new task if they fit in, as far as is known; return whether they do.

        Args:
            task: Name of the task.
            parts: Parts of its cell.
        """
        self._claimed[task] = {part.name: len(part.content) for part in parts}
        fits = self._fits(task)
        if not fits:
            self.drop(task)
        return fits

    async def still_fit(self, task: str) -> bool:
        """Return whether the parts of a task fit in, beside those of the user's other kernels.

        Args:
            task: Name of the task; its parts are counted.
        """
        if time.monotonic() - self._listed_at >= MAX_AGE_SECONDS:
            if self._listing is None:
                self._listing = asyncio.ensure_future(self._list())
            await asyncio.shield(self._listing)  # other tasks wait for it, too
        return self._fits(task)

    def drop(self, task: str) -> None:
        """Count the parts of a task no longer.

        Args:
            task: Name of the task.
        """
        self._claimed.pop(task, None)

    def _fits(self, task: str) -> bool:
        """Return whether the parts of a task fit in, after those of the tasks before it."""
        names = list(self._claimed)
        counted = names[: names.index(task) + 1] if task in self._claimed else names
        sizes = {**self._listed}
        for name in counted:
            sizes |= self._claimed[name]
        return sum(sizes.values()) <= MAX_BYTES

    async def _list(self) -> None:
        """List the parts of pods that wait, and of Jobs, which create pods later; those that may be listed."""
        try:
            self._listed = await self._read_sizes()
            self._listed_at = time.monotonic()
        finally:
            self._listing = None

    async def _read_sizes(self) -> dict[str, int]:
        listed = await asyncio.gather(
            self._namespace.pods.list_waiting(self._selector),
            self._namespace.jobs.list_metadata(self._selector),
            return_exceptions=True,
        )
        sizes: dict[str, int] = {}
        for found in listed:
            if isinstance(found, ClusterError):
                log.debug("Some waiting tasks are not counted: %s", found)
            elif isinstance(found, BaseException):
                raise found
            else:
                for each in found:
                    sizes |= parse_sizes((each.get("annotations") or {}).get(PARTS_ANNOTATION, ""))
        own = set(itertools.chain.from_iterable(self._claimed.values()))
        return {name: size for name, size in sizes.items() if name not in own}


_known: dict[tuple[Namespace, str], WaitingParts] = {}


def waiting_parts(namespace: Namespace, user: str) -> WaitingParts:
    """Return the Secrets of a user's waiting tasks in a namespace; the same object for all tasks of this kernel."""
    key = namespace, user
    if key not in _known:
        _known[key] = WaitingParts(*key)
    return _known[key]
