"""The results of a map by index: kept as they arrive, decoded where they are read."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..channel.item_channel import ItemResult
from ..channel.job import RunnerResult
from ..errors import Lost
from ..lifecycle.outcome import decode
from ..runner.plain_items import split
from .progress import FailureGroup, ItemState

MAX_MESSAGE_CHARS = 120


class MapResults:
    """The results of a map. The event loop adds them; any thread reads them.

    Args:
        total: Number of items.
        hint_for: Returns a one-line hint for an error of the code; empty if there is none.

    Attributes:
        order: The indexes whose items have ended, in the order of their ends; None in place of an item that runs again.
    """

    def __init__(self, total: int, hint_for: Callable[[BaseException], str]) -> None:
        self.total = total
        self.order: list[int | None] = []
        self._places: dict[int, int] = {}  # in the order, of the items that have ended
        self._hint_for = hint_for
        self._received: dict[int, tuple[ItemResult, str]] = {}  # not decoded yet, with the place
        self._values: dict[int, Any] = {}
        self._errors: dict[int, BaseException] = {}
        self._failed: dict[int, tuple[str, str, str]] = {}  # kind of the error, place, message
        self._stopped: set[int] = set()
        self._lock = threading.RLock()  # decoding executes code of the user's classes

    @property
    def done(self) -> int:
        """How many items have ended."""
        return len(self._places)

    @property
    def failed(self) -> list[int]:
        """The indexes of the items that have failed or are lost, in ascending order."""
        return sorted(self._failed)

    @property
    def stopped(self) -> list[int]:
        """The indexes of the items that have not run, or not to their end, because the map was stopped."""
        return sorted(self._stopped)

    def states(self, running: Iterable[int]) -> bytes:
        """Return the :class:`ItemState` of each item, in order.

        Args:
            running: The indexes of the items that run.
        """
        found = bytearray(self.total)
        for index in running:
            found[index] = ItemState.RUNNING
        for index in self._places.copy():
            found[index] = ItemState.SUCCEEDED
        for index in self._failed.copy():
            found[index] = ItemState.LOST if isinstance(self._errors.get(index), Lost) else ItemState.FAILED
        for index in self._stopped.copy():
            found[index] = ItemState.STOPPED
        return bytes(found)

    def has(self, index: int) -> bool:
        """Return whether an item has ended."""
        return index in self._places

    def add(self, result: ItemResult, where: str) -> None:
        """Add the result of an item.

        Args:
            result: The result.
            where: Pod and container of its worker in words, for the last line of an error.
        """
        if result.is_error:
            self._failed[result.index] = _about(result)
        self._received[result.index] = result, where
        self._note_end(result.index)

    def add_error(self, index: int, error: BaseException) -> None:
        """Add the error of an item that has no result."""
        kind = type(error).__name__
        self._failed[index] = kind, "", _first_line(str(getattr(error, "message", error)))
        self._errors[index] = error
        self._note_end(index)

    def add_stopped(self, index: int, error: BaseException) -> None:
        """Note that an item does not run, because the map was stopped.

        Args:
            index: Its index.
            error: The error that says so.
        """
        self._stopped.add(index)
        self._errors[index] = error
        self._note_end(index)

    def discard(self, index: int) -> None:
        """Forget the result of an item, which runs again."""
        with self._lock:
            for each in (self._received, self._values, self._errors, self._failed):
                each.pop(index, None)
            self._stopped.discard(index)
            self.order[self._places.pop(index)] = None

    def value(self, index: int) -> Any:
        """Return the value of an item.

        Raises:
            BaseException: Its error.
        """
        error = self.error(index)
        if error is not None:
            raise error
        return self._values[index]

    def error(self, index: int) -> BaseException | None:
        """Return the error of an item that has ended; None if it has a value."""
        with self._lock:
            if index in self._received:
                self._decode(index)
            return self._errors.get(index)

    def value_or_error(self, index: int) -> Any:
        """Return the value of an item that has ended, or its error."""
        error = self.error(index)
        return self._values[index] if error is None else error

    def failure_groups(self) -> Iterator[FailureGroup]:
        """Yield the failures of the same kind and place together."""
        failed, groups = self._failed.copy(), dict[tuple[str, str], list[int]]()
        for index, (kind, place, _) in sorted(failed.items()):
            groups.setdefault((kind, place), []).append(index)
        for (kind, place), indexes in sorted(groups.items(), key=lambda group: -len(group[1])):
            yield FailureGroup(kind, place, tuple(indexes), failed[indexes[0]][2])

    def _note_end(self, index: int) -> None:
        self.order.append(index)
        self._places[index] = len(self.order) - 1

    def _decode(self, index: int) -> None:
        result, where = self._received[index]
        value, error = decode_result(result, where, self._hint_for)
        if error is not None:
            self._errors[index] = error
            self._failed.setdefault(index, (type(error).__name__, "", _first_line(str(error))))
        else:
            self._values[index] = value
        del self._received[index]


def decode_result(
    result: ItemResult, where: str, hint_for: Callable[[BaseException], str]
) -> tuple[Any, BaseException | None]:
    """Return the value of an item, and None; or None and its error.

    Args:
        result: The result of the item.
        where: Pod and container of its worker in words, for the last line of an error.
        hint_for: Returns a one-line hint for an error of the code; empty if there is none.
    """
    if result.end is None:
        return pickle.loads(result.data), None
    outcome = decode(RunnerResult(result.end, split(result.data, result.end["sizes"])), where, hint_for)
    return outcome.result, outcome.failure


def _about(result: ItemResult) -> tuple[str, str, str]:
    """Return the class of the error of an item, its place and its message."""
    assert result.end is not None
    if "error" not in result.end:
        return "TaskError", "", _first_line(str(result.end["kept"][0].get("why", "")))
    error = result.end["error"]["errors"][0]
    place = ""
    if error["frames"]:
        filename, line = error["frames"][-1][:2]
        is_cell = str(filename).startswith("<") or "/ipykernel_" in str(filename)
        place = f"line {line}" if is_cell else f"{str(filename).rpartition('/')[2]}:{line}"
    return str(error["type"]), place, _first_line(str(error["message"]))


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"
