"""Values of the notebook's own modules that were changed after the import.

They are set once the cell has imported the module, and unpickled no earlier. What a module computes when it is
imported is kept: a value that replaces a literal is set only if the import has left that literal.
"""

import sys
import types
from typing import Any, Dict, Iterable, List

from ..state.libraries import StateImporter, failures

LITERAL, HELD, NEW = "literal", "held", "new"
_MISSING = object()


class ModuleValues:
    """The values that were sent, in the order of their pickles.

    They are set once the import that the cell has begun is complete, with everything that it imports. So the
    modules find each other as the notebook's did when they were imported, before the values were changed.

    Args:
        unpickler: Loads the values, which follow the inputs and share their memo.
        steps: [module, name, kind, literal, reported] of each value. The name may be that of a class's attribute. LITERAL: it replaces a literal of the source,
            whose repr is given; HELD: the notebook holds the object itself; NEW: the source does not mention the
            name. ``reported`` tells whether the user is told if the value is not set.
        modules: The local modules.
    """

    def __init__(self, unpickler: Any, steps: List[List[Any]], modules: Iterable[str]) -> None:
        self._unpickler = unpickler
        self._steps = steps
        self._modules = list(modules) if steps else []
        self._pending: Dict[str, List[Any]] = {}

    def install(self, importer: StateImporter) -> None:
        """Wait for the imports of the modules."""
        for module in self._modules:
            importer.after_import(module, self._on_import)

    def _on_import(self, module: types.ModuleType) -> None:
        loaded = [(name, sys.modules[name]) for name in self._modules if name in sys.modules]
        if any(each is not module and _is_initializing(each) for _, each in loaded):
            return
        self._load()
        for name in [name for name in self._pending if name in sys.modules]:
            for step, value in self._pending.pop(name):
                self._set(step, value)

    def _load(self) -> None:
        """Unpickle all values; this may import further modules."""
        while self._steps:
            step = self._steps.pop(0)
            try:
                value = self._unpickler.load()
            except Exception as error:  # the pod lacks a module, say; the rest of the pickles cannot be read
                failures.append(
                    f"{step[0]}.{step[1]} has the pod's value ({type(error).__name__}: {error})"[:200]
                )
                self._steps.clear()
                return
            self._pending.setdefault(step[0], []).append((step, value))

    def _set(self, step: List[Any], value: Any) -> None:
        owner, name, kind, literal, reported = step
        names = vars(sys.modules[owner])
        of_class, _, attribute = name.rpartition(".")
        holder: Any = names.get(of_class) if of_class else sys.modules[owner]
        current = getattr(holder, "__dict__", {}).get(attribute, _MISSING)
        if kind == NEW and current is not _MISSING:
            return
        if kind == LITERAL and repr(current) != literal:
            if reported and repr(current) != repr(value):
                failures.append(
                    f"{owner}.{name} was changed in the notebook, but the module computes it, so the pod has its own: "
                    "set it in the cell"
                )
            return
        if of_class:
            if isinstance(holder, type):
                setattr(holder, attribute, value)
            return
        names[name] = value
        _note(owner, name)
        if isinstance(current, (dict, list, set, bytearray)) or hasattr(current, "__dict__"):
            for other in self._modules:  # they may have imported the object from there
                names = vars(sys.modules[other]) if other in sys.modules else {}
                for key in [key for key, each in names.items() if each is current]:
                    names[key] = value
                    _note(other, key)


def _note(module: str, name: str) -> None:
    """Note that the notebook has this value, too: the cell has not changed it."""
    snapshots = sys.modules[f"{__package__}.module_snapshots"]  # loaded with the local modules
    snapshots.SNAPSHOTS.note(sys.modules[module], name)


def _is_initializing(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
