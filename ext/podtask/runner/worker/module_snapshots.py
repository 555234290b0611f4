"""Detect what a cell did to plain values of the notebook's own modules, such as a counter.

Each cell imports the modules anew, so the notebook keeps its own values. Those that a cell has changed are
named. Changes during the import of a module are not: the notebook has imported it, too.
"""

import contextlib
import sys
import types
from typing import Dict, Iterator, List, Set

from ..protocol import MAX_WATCHED_BYTES
from ..state.libraries import is_plain
from .fingerprint import Fingerprint, fingerprint
from .leftovers import abbreviate

_MISSING = object()


class ModuleSnapshots:
    """The plain values of the modules as their imports have left them."""

    def __init__(self) -> None:
        self._modules: List[types.ModuleType] = []
        self._before: Dict[str, Dict[str, Fingerprint]] = {}  # module -> name -> fingerprint
        self._changed: Set[str] = set()  # before the latest import
        self._imports = 0  # that run within each other
        self._bytes_left = MAX_WATCHED_BYTES

    @contextlib.contextmanager
    def importing(self, module: types.ModuleType) -> Iterator[None]:
        """Execute a module in this context; the values are recorded when its outermost import is complete."""
        if not self._imports:
            self._changed.update(self._changed_now())
        self._imports += 1
        try:
            yield
            if module not in self._modules:
                self._modules.append(module)
        finally:
            self._imports -= 1
            if not self._imports:
                self._before, self._bytes_left = {}, MAX_WATCHED_BYTES
                for each in self._modules:
                    for name in list(vars(each)):
                        self.note(each, name)

    def note(self, module: types.ModuleType, name: str) -> None:
        """Record the value that a module has now."""
        value = vars(module)[name]
        if name.startswith("_") or "cache" in name.lower() or not is_plain(value):
            return
        found, size = fingerprint(value, {}, self._bytes_left)
        self._bytes_left -= size
        if found is not None:
            self._before.setdefault(module.__name__, {})[name] = found

    def changed_values(self) -> List[str]:
        """Return the names of the values that the cell has changed, with their modules."""
        return sorted({*self._changed, *self._changed_now()})

    def _changed_now(self) -> Iterator[str]:
        for module, before in self._before.items():
            values = getattr(sys.modules.get(module), "__dict__", {})
            for name, found in before.items():
                value = values.get(name, _MISSING)
                if is_plain(value) and fingerprint(value, {}, 2 * MAX_WATCHED_BYTES, found)[0] != found:
                    yield f"{module}.{name}"


SNAPSHOTS = ModuleSnapshots()


def notes() -> List[str]:
    """Return a line that names the changed values, if there are any."""
    changed = abbreviate(SNAPSHOTS.changed_values())
    if not changed:
        return []
    return [
        f"the notebook keeps its own {', '.join(changed)}, which the cell changed: assign what you need to a "
        "variable, and name that with -o"
    ]
