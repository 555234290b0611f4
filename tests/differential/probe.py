"""Code that runs in the kernel of a notebook: describe values, and reset the kernel.

A description is JSON. Objects with an identity are numbered in the order in which they are found, so that two
descriptions are equal if the values and all identities between them are equal.
"""

from __future__ import annotations

import decimal
import gc
import hashlib
import json
import logging
import os
import re
import sys
import threading
import types
import warnings
from typing import Any

ATOMS = (bool, int, float, complex, str, bytes, type(None), type(...), range, slice)
# podtask's own notes: where an error was raised, and what is missing in the image.
ADVICE = ("in ", "The image lacks this module", "The notebook's ")
NUMPY_PRINTING: dict[str, Any] = {
    "precision": 8,
    "threshold": 1000,
    "edgeitems": 3,
    "linewidth": 75,
    "suppress": False,
    "formatter": None,
}
_before: dict[str, Any] = {}


def remember(shell: Any) -> None:
    """Record the state of the kernel before the first cell."""
    _before.update(
        names=set(shell.user_ns),
        environ=dict(os.environ),
        cwd=os.getcwd(),
        path=list(sys.path),
        filters=list(warnings.filters),
        handlers=list(logging.root.handlers),
        level=logging.root.level,
        modules=set(sys.modules),
        limit=sys.getrecursionlimit(),
        interactivity=type(shell).ast_node_interactivity,
        streams=(sys.stdout, sys.stderr, sys.displayhook),
    )


def mark(shell: Any) -> None:
    """Record the classes of the notebook before the cell."""
    kinds = {name: each for name, each in shell.user_ns.items() if isinstance(each, type)}
    _before["classes"] = kinds


def reset(shell: Any) -> None:
    """Reset the kernel; print the names that a cell has left behind, as JSON."""
    gc.collect()  # leftovers of a cell print their messages now and not during the next cell
    pools = sys.modules.get("joblib.externals.loky.reusable_executor")
    if pools is not None and pools._executor is not None:
        pools._executor.shutdown(kill_workers=True)  # its thread waits for work forever
    for thread in threading.enumerate():
        pooled = thread.name.startswith("asyncio_")  # waits for work forever
        if thread is not threading.main_thread() and not thread.daemon and not pooled:
            thread.join(10)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    shell.user_ns["Out"].clear()
    for name in set(shell.user_ns) - _before["names"]:
        del shell.user_ns[name]
    shell.push({"_": "", "__": "", "___": ""}, interactive=False)
    shell.displayhook._, shell.displayhook.__, shell.displayhook.___ = "", "", ""
    os.environ.clear()
    os.environ.update(_before["environ"])
    os.chdir(_before["cwd"])
    sys.path[:] = _before["path"]
    warnings.filters[:] = _before["filters"]  # type: ignore[index]
    logging.root.handlers[:] = _before["handlers"]
    logging.root.setLevel(_before["level"])
    _reset_libraries(shell)
    sys.setrecursionlimit(_before["limit"])
    sys.stdout, sys.stderr, sys.displayhook = _before["streams"]
    for name, module in list(sys.modules.items()):
        if name not in _before["modules"] and getattr(module, "__spec__", None) is None:
            del sys.modules[name]  # created by a cell, not on disk
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
    print(json.dumps(sorted(set(shell.user_ns) - _before["names"])))


def _reset_libraries(shell: Any) -> None:
    """Reset what cells set up in libraries, outside of variables."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and logger.name.startswith("app"):
            logger.handlers.clear()
            logger.filters.clear()
            logger.setLevel(logging.NOTSET)
            logger.propagate, logger.disabled = True, False
    logging.disable(logging.NOTSET)
    logging.captureWarnings(False)
    type(shell).ast_node_interactivity = _before["interactivity"]
    for formatter in shell.display_formatter.formatters.values():
        for kind in [*formatter.type_printers]:
            if getattr(formatter.type_printers[kind], "__module__", "") == "__main__":
                del formatter.type_printers[kind]
    shell.run_line_magic("precision", "")
    decimal.setcontext(decimal.Context())
    if "pandas" in sys.modules:
        sys.modules["pandas"].reset_option("^display|^styler")
    if "numpy" in sys.modules:
        sys.modules["numpy"].set_printoptions(**NUMPY_PRINTING)
        sys.modules["numpy"].seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcParams.update(_before.setdefault("rc", {}))


def report(shell: Any, names: list[str], result: bool) -> None:
    """Print a description of the names, the last error and the last result."""
    found = Describer(shell.user_ns)
    values = {name: found.value(shell.user_ns[name]) if name in shell.user_ns else "unset" for name in names}
    print(
        json.dumps(
            {
                "values": values,
                "_": found.value(shell.user_ns["_"]) if result else None,
                "error": found.error(getattr(sys, "last_value", None)),
            }
        )
    )


class Describer:
    """Describe values, with one numbering of objects for all of them.

    Args:
        namespace: Namespace of the notebook.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # keeps the object alive, so that its id is not reused

    def value(self, value: Any) -> Any:
        """Return the description of a value."""
        kind = type(value)
        if kind in ATOMS or (kind in (tuple, frozenset) and not value):
            shown = repr(value)
            if len(shown) > 2000:  # megabytes in the messages of a notebook take long
                shown = hashlib.sha256(shown.encode()).hexdigest()
            return [kind.__name__, shown]
        if id(value) in self._numbers:
            return ["same", self._numbers[id(value)]]
        number = self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return [number, self._kind(kind), *self._inside(value)]

    def error(self, error: BaseException | None) -> Any:
        """Return the description of an error and of the errors that it is chained to."""
        if error is None or type(error).__module__.startswith("podtask"):
            return None if error is None else ["podtask", type(error).__name__]
        if id(error) in self._numbers:
            return ["same", self._numbers[id(error)]]
        self._numbers[id(error)] = len(self._numbers)
        notes = [n for n in getattr(error, "__notes__", ()) if not n.startswith(ADVICE)]
        return {
            "type": self._kind(type(error)),
            "bases": [each.__name__ for each in type(error).__mro__],
            "args": [self.value(each) for each in error.args],
            "dict": {
                k: self.value(v)
                for k, v in sorted(vars(error).items())
                if k not in ("_render_traceback_", "__notes__")
            },
            "notes": notes,
            "cause": self.error(error.__cause__),
            "context": self.error(error.__context__),
            "suppress": error.__suppress_context__,
            "group": [self.error(each) for each in getattr(error, "exceptions", ())],
        }

    def _kind(self, kind: type) -> str:
        known = _before["classes"].get(kind.__name__) is kind
        here = " of the notebook" if known else ""
        return f"{kind.__module__}.{kind.__qualname__}{here}"

    def _inside(self, value: Any) -> list[Any]:
        if isinstance(value, types.ModuleType):
            return [value.__name__]
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.MethodType):
            return [value.__name__, self.value(value.__self__)]
        if isinstance(value, BaseException):
            return [self.error_of(value)]
        return [*self._held(value), *self._attributes(value)]

    def _held(self, value: Any) -> list[Any]:
        found: list[Any] = []
        if isinstance(value, dict):
            found += [[self.value(k), self.value(v)] for k, v in value.items()]
        elif isinstance(value, (set, frozenset)):
            found += [self.value(each) for each in sorted(value, key=repr)]
        elif isinstance(value, (list, tuple)):
            found += [self.value(each) for each in value]
        elif not hasattr(value, "__dict__") or "__repr__" in vars(type(value)):
            found.append(re.sub(r"0x[0-9a-f]+", "0x", repr(value)))
        return found

    def _attributes(self, value: Any) -> list[Any]:
        found: list[Any] = []
        for name, each in sorted(getattr(value, "__dict__", {}).items()):
            if not type(value).__module__.startswith(("pandas", "numpy", "matplotlib")):
                found.append([name, self.value(each)])
        for kind in type(value).__mro__:
            for name in kind.__dict__.get("__slots__", ()):
                if isinstance(name, str) and hasattr(value, name):
                    found.append([name, self.value(getattr(value, name))])
        return found

    def error_of(self, value: BaseException) -> Any:
        """Return the description of an error that is a value."""
        del self._numbers[id(value)]
        return self.error(value)

    def _function(self, value: types.FunctionType) -> list[Any]:
        cells = []
        for cell in value.__closure__ or ():
            try:
                cells.append(self.value(cell.cell_contents))
            except ValueError:
                cells.append("empty")
        return [
            value.__qualname__,
            value.__doc__,
            self.value(value.__defaults__),
            self.value(value.__kwdefaults__),
            cells,
            sorted(vars(value)),
            "the notebook's globals" if value.__globals__ is self._namespace else "others",
        ]

    def _class(self, value: type) -> list[Any]:
        if value.__module__ != "__main__":
            return [value.__qualname__]
        own = sorted(name for name in vars(value) if not re.match(r"__\w+__$|_abc_|_cloud", name))
        same = self._namespace.get(value.__name__) is value
        return [value.__qualname__, [each.__name__ for each in value.__mro__], own, same]
