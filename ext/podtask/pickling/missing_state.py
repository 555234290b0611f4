"""Hints for errors about state that earlier cells made outside of variables, and that a pod lacks.

An environment variable, an attribute that a library or a cell has added to a class or module, a name that was
registered with a library: none of these is sent automatically.
"""

from __future__ import annotations

import builtins
import os
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

NO_ATTRIBUTE = re.compile(r"(?:type object )?'([\w.]+)' object has no attribute '(\w+)'")
NO_CLASS_ATTRIBUTE = re.compile(r"type object '([\w.]+)' has no attribute '(\w+)'")
NO_MODULE_ATTRIBUTE = re.compile(r"(?:partially initialized )?module '([\w.]+)' has no attribute '(\w+)'")
QUOTED = re.compile(r"""['"`]([^'"`\s]{1,60})['"`]""")
MAX_QUOTED = 3  # words of an error
MAX_LINE_CHARS = 80


def missing_variable_hint(error: BaseException, sent: Mapping[str, str]) -> str:
    """Return a hint for a missing environment variable that the notebook has; empty for any other error.

    Args:
        error: Error raised by the cell.
        sent: The environment variables that were sent with the cell.
    """
    name = error.args[0] if type(error) is KeyError and error.args else ""
    if type(name) is not str or name in sent or name not in os.environ or not _raised_by_environ(error):
        return ""
    return (
        f"The notebook's environment has {name}; environment variables are not sent by themselves. "
        f"Send it with --env {name}, which takes the notebook's value."
    )


def missing_attribute_hint(error: BaseException, namespace: Mapping[str, Any]) -> str:
    """Return a hint for an attribute that the notebook's class or module has, and the pod's lacks.

    Args:
        error: Error raised by the cell.
        namespace: The notebook's namespace.
    """
    text = error.args[0] if type(error) is AttributeError and error.args else ""
    if type(text) is not str:
        return ""
    in_module = NO_MODULE_ATTRIBUTE.match(text)
    found = in_module or NO_CLASS_ATTRIBUTE.match(text) or NO_ATTRIBUTE.match(text)
    if found is None:
        return ""
    owner, name = found.groups()
    if in_module and owner == "__main__":
        return ""  # a variable of the notebook, which has a hint of its own
    owners: Iterable[Any] = [sys.modules.get(owner)] if in_module else _classes(owner, namespace)
    for each in owners:
        added = vars(each).get(name) if in_module and each is not None else _class_attribute(each, name)
        if each is None or added is None or isinstance(added, types.ModuleType):
            continue
        return _hint_to_add(f"The notebook's {owner} has {name}", name, added, each, namespace)
    return ""


def missing_builtin_hint(name: str, namespace: Mapping[str, Any]) -> str:
    """Return a hint for an undefined name that the notebook has as a builtin; empty if there is none."""
    added = vars(builtins).get(name)
    if added is None or name in namespace:
        return ""
    return _hint_to_add(f"The notebook has a builtin {name}", name, added, builtins, namespace)


def missing_registration_hint(error: BaseException, namespace: Mapping[str, Any]) -> str:
    """Return a hint for an error about a name that an earlier cell has registered with a library.

    Such as a colormap, an error handler of codecs or an environment of gymnasium.

    Args:
        error: Error raised by the cell.
        namespace: The notebook's namespace.
    """
    args: tuple[object, ...] = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    text = args[0] if args else ""
    if not isinstance(error, Exception) or type(text) is not str:
        return ""
    words = [text] if type(error) is KeyError else QUOTED.findall(text)[:MAX_QUOTED]
    if type(error) is AttributeError:
        words = words[-1:]  # the first one is the class
    for word in words:
        if hasattr(builtins, word):  # a type in the message, which nobody has registered a name for
            continue
        pattern = re.compile(rf"register\w*\(.*(?<![\w.]){re.escape(word)}(?!\w)")
        for line in _lines_of_cells(namespace):
            # A definition is sent with its decorator, such as @area.register(Shape) of functools.singledispatch.
            is_sent = line.startswith("@") and not re.search(rf"""['"]{re.escape(word)}['"]""", line)
            if pattern.search(line) and not is_sent and len(line) <= MAX_LINE_CHARS:
                return f"An earlier cell has registered {word}, which the pod lacks. Run that line in the cell: {line}"
    return ""


def _hint_to_add(what: str, name: str, added: Any, owner: Any, namespace: Mapping[str, Any]) -> str:
    line = _line_that_adds(name, added, owner, namespace)
    example = f", such as: {line}" if line else ""
    return f"{what}, which an earlier cell or an import has added. Run the line that adds it in the cell{example}"


def _raised_by_environ(error: BaseException) -> bool:
    """Return whether an error comes from ``os.environ``."""
    entry, last = error.__traceback__, None
    while entry is not None:
        entry, last = entry.tb_next, entry
    code = last.tb_frame.f_code if last is not None else None
    if code is None:
        return False
    file = os.path.basename(code.co_filename)
    return file in ("os.py", "<frozen os>") and code.co_name in ("__getitem__", "__delitem__")


def _class_attribute(kind: Any, name: str) -> Any:
    return next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)


def _classes(name: str, namespace: Mapping[str, Any]) -> Iterator[type]:
    """Yield the notebook's classes with a name: those of its variables, then all others."""
    last = name.rpartition(".")[2]
    seen: set[int] = set()
    values = list(namespace.values())
    kinds = [value if isinstance(value, type) else type(value) for value in values]
    todo: list[type] = [object]
    while kinds or todo:
        kind = kinds.pop() if kinds else todo.pop()
        if id(kind) not in seen:
            seen.add(id(kind))
            if kind.__name__ == last:
                yield kind
            todo += type.__subclasses__(kind)


def _line_that_adds(name: str, added: Any, owner: Any, namespace: Mapping[str, Any]) -> str:
    """Return the line of an earlier cell that has probably added an attribute; empty if none is found."""
    lines = _lines_of_cells(namespace)
    added = getattr(added, "fget", None) or getattr(added, "_accessor", None) or added
    root = str(getattr(added, "__module__", "")).partition(".")[0]
    patterns = [rf"\.{name}\s*=(?!=)", rf"""['"]{name}['"]"""]
    if root and root not in ("__main__", "builtins", str(getattr(owner, "__module__", "")).partition(".")[0]):
        patterns += [rf"\b{root}(?:\.\w+)*\(", rf"^(?:import|from) {root}\b"]
    for pattern in patterns:
        for line in lines:
            if re.search(pattern, line) and len(line) <= MAX_LINE_CHARS:
                return str(line)
    return f"import {root}" if len(patterns) > 2 else ""


def _lines_of_cells(namespace: Mapping[str, Any]) -> list[str]:
    """Return the lines of the cells that were run in the notebook itself."""
    cells = namespace.get("In")
    return [
        line.strip()
        for cell in (cells if isinstance(cells, list) else ())
        if "run_cell_magic('podtask'" not in cell
        for line in cell.splitlines()
    ]
