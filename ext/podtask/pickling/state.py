"""Capture the state that libraries keep in no variable, and set the state that comes back.

Each library has a module in ``podtask.runner.state``. A library that the notebook has not imported costs a
look into ``sys.modules``.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..runner.pickler import Packer
from ..runner.state.libraries import GENERATORS, LIBRARIES, LOST, MINOR, PICKLED, library

log = logging.getLogger(__name__)
MAX_PIECE_BYTES = 256 << 10
# What sets the seed of a generator, in the source of a cell.
EVERY_SEED = r"\b(?:seed_everything|set_seed|set_random_seed)\("
SEEDS = {
    "random": re.compile(rf"(?<![\w.])(?:random\.)?seed\(|{EVERY_SEED}"),
    "numpy.random": re.compile(rf"\b(?:np|numpy)\.random\.seed\(|{EVERY_SEED}"),
    "torch": re.compile(rf"\bmanual_seed(?:_all)?\(|{EVERY_SEED}"),
}
DETACHED = re.compile(r"get_ipython\(\)\.run_cell_magic\('podtask', '[^']*(?:-d|--detach)\b")

# States of generators that came back while the notebook had not imported their module: for the next cell.
_waiting: dict[str, Any] = {}


@dataclass(frozen=True)
class LibraryState:
    """The state of the notebook's libraries at one moment.

    Args:
        entries: (module whose import applies it, module of ``runner.state``, data).
        notes: Maps a module to lines about what is not sent, which are shown if the cell imports it.
        generators: The generators of random numbers whose state comes back.
        fresh: The generators that the notebook has seeded and whose state is not sent.
        used: Classes, functions and modules that the entries refer to.
    """

    entries: Sequence[tuple[str, str, Any]] = ()
    notes: Mapping[str, list[str]] = field(default_factory=dict)
    generators: Sequence[str] = ()
    fresh: Sequence[str] = ()
    used: Sequence[Any] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.notes or self.generators or self.fresh)

    def as_data(self) -> dict[str, Any]:
        """Return plain data for the runner."""
        return {
            "entries": list(self.entries),
            "notes": dict(self.notes),
            "generators": list(self.generators),
            "fresh": list(self.fresh),
        }


NO_STATE = LibraryState()


def capture_state(namespace: dict[str, Any], waits: bool) -> LibraryState:
    """Return the state of the libraries that the notebook has imported.

    Args:
        namespace: The notebook's namespace.
        waits: Whether the notebook waits for the cell. Only then does the state of random numbers go and come
            back; tasks in the background would all draw the same numbers.
    """
    entries: list[tuple[str, str, Any]] = []
    notes: dict[str, list[str]] = {}
    used: list[Any] = []
    for name, file in LIBRARIES.items():
        if name in sys.modules:
            pieces = Pieces(namespace, name)
            entries += _capture(name, file, pieces)
            used += pieces.used
            for owner, lines in pieces.left_out.items():
                notes.setdefault(owner, []).extend(lines)
    if not waits:
        seeded = [name for name in GENERATORS if name in sys.modules and _has_run(namespace, SEEDS[name])]
        return LibraryState(entries, notes, fresh=seeded, used=used)
    for name, file in GENERATORS.items():
        if name in sys.modules:
            _waiting.pop(name, None)
            entries += _capture(name, file, Pieces(namespace, name))
        elif name in _waiting:
            entries.append((name, file, _waiting[name]))
    return LibraryState(entries, notes, [*GENERATORS], used=used)


def restore_state(states: Mapping[str, Any]) -> None:
    """Set the states of the generators of random numbers that came back from a cell."""
    for name, data in states.items():
        if name in sys.modules:
            module = library(GENERATORS[name])
            getattr(module, "restore", module.apply)(sys.modules[name], data)
        elif name in GENERATORS:
            _waiting[name] = data


class Pieces:
    """Turns values of a library's state that are not plain data into pickles.

    Args:
        namespace: The notebook's namespace.
        owner: The module whose state is captured.

    Attributes:
        owner: The module whose import in the pod shows the user what is not sent.
        left_out: Owner -> lines about what is not sent.
        used: Classes, functions and modules that the pieces refer to.
    """

    def __init__(self, namespace: dict[str, Any], owner: str) -> None:
        self.owner = owner
        self.left_out: dict[str, list[str]] = {}
        self.used: list[Any] = []
        self._namespace = namespace

    def leave_out(self, label: str, remedy: str = "set it up in the cell") -> None:
        """Record that a part of the state is not sent.

        Args:
            label: The part in words.
            remedy: What the user can do.
        """
        line = f"{label} stays in the notebook: {remedy}"
        self.left_out.setdefault(self.owner, []).append(line)

    def has_run(self, pattern: re.Pattern[str]) -> bool:
        """Return whether an earlier cell of the notebook matches a pattern, and the current one does not."""
        cells = self._namespace.get("In")
        current = cells[-1] if isinstance(cells, list) and cells else ""
        return not pattern.search(current) and _has_run(self._namespace, pattern)

    def pickled(self, label: str, value: Any) -> tuple[Any, ...]:
        """Return a value as a piece; :data:`LOST` if it cannot be sent, which the user is told.

        Args:
            label: The value in words.
            value: The value.
        """
        file = _File()
        try:
            with Packer(file, self._namespace, plain=False) as packer:
                packer.dump(value)
                done: set[str] = set()
                while needed := sorted((packer.needs & self._namespace.keys()) - done):
                    for name in needed:
                        packer.dump((name, self._namespace[name]))
                    done.update(needed)
        except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
            log.debug("%s: %s: %s", label, type(error).__name__, error)
            self.leave_out(label)
            return LOST
        data = file.getvalue()
        if len(data) > MAX_PIECE_BYTES:
            self.leave_out(label)
            return LOST
        self.used += packer.types
        portable = not any(word in data for word in (b"cloudpickle", b"__main__", b"reducers"))
        return PICKLED, "" if portable else MINOR, data


class _File(io.BytesIO):
    """A file in memory that takes buffers too: a piece has none apart."""

    def write_buffer(self, view: Any) -> None:
        raise ValueError("too large")


def _capture(name: str, file: str, pieces: Pieces) -> list[tuple[str, str, Any]]:
    """Return the entries of one library; none if its version is not the one that its module knows."""
    module = library(file)
    try:
        data = module.capture(sys.modules[name], pieces)
    except Exception as error:  # noqa: BLE001 -- a cell never fails because of a setting
        log.debug("The state of %s cannot be captured: %s: %s", name, type(error).__name__, error)
        return []
    if data is None:
        return []
    parts = module.split(data) if hasattr(module, "split") else {name: data}
    return [(owner, file, part) for owner, part in parts.items()]


def _has_run(namespace: Mapping[str, Any], pattern: re.Pattern[str]) -> bool:
    """Return whether an earlier cell that was not detached matches a pattern."""
    cells = namespace.get("In")
    earlier = cells[:-1] if isinstance(cells, list) else ()
    return any(pattern.search(source) and not DETACHED.match(source) for source in earlier)
