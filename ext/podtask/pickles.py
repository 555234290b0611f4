"""Inputs out, values in: one pickle each way, sizes by name, and nothing loaded across minors.

A pickled function is byte code: under another minor version of Python it crashes the
interpreter. So the runner says its version first; for another one, definitions travel as source
and the rest as plain data.
"""

from __future__ import annotations

import ast
import inspect
import io
import linecache
import pickle
import sys
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .cell import HIDDEN, free_names
from .errors import InputError
from .runner import pack

LIMIT = 256 << 20


@dataclass(frozen=True)
class Inputs:
    """What a cell is given.

    Args:
        data: the pickle; empty where there is nothing.
        sizes: name -> (type's name, bytes).
        mode: ``pickle``, or ``data`` for another minor version.
        definitions: (source, filename) of what travels as source, in order.
    """

    data: bytes
    sizes: Mapping[str, tuple[str, int]]
    mode: str
    definitions: tuple[tuple[str, str], ...] = ()


def select(
    reads: Iterable[str], wanted: tuple[str, ...] | None, namespace: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the values to send: those of ``wanted``, else those the cell reads.

    Raises:
        InputError: a wanted name does not exist.
    """
    if wanted is not None:
        missing = [name for name in wanted if name not in namespace]
        if missing:
            raise InputError(f"-i {missing[0]}: there is no such name in the notebook.",
                             "Run the cell that sets it, or leave it out of -i.")  # fmt: skip
        return {name: namespace[name] for name in wanted}
    return {name: namespace[name] for name in reads
            if name in namespace and name not in HIDDEN and not name.startswith("__")}  # fmt: skip


def pack_inputs(values: dict[str, Any], namespace: dict[str, Any], same_minor: bool) -> Inputs:
    """Returns the pickled inputs.

    Args:
        values: what :func:`select` gave.
        namespace: the notebook's globals, which functions live in.
        same_minor: the pod's Python has the notebook's minor version.

    Raises:
        InputError: a value cannot be pickled, or all are over 256 MiB; names it.
    """
    definitions: tuple[tuple[str, str], ...] = ()
    if not same_minor:
        values, definitions = _as_source(values, namespace)
    if not values:
        return Inputs(b"", {}, _mode(same_minor), definitions)
    file = io.BytesIO()
    try:
        _pickler(file, namespace, same_minor).dump(values)
    except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
        raise _culprit(values, namespace, same_minor, error) from None
    data = file.getvalue()
    sizes = _sizes(values, len(data))
    if len(data) > LIMIT:
        largest = ", ".join(f"{name} ({size >> 20} MiB)" for name, (_, size) in
                            sorted(sizes.items(), key=lambda item: -item[1][1])[:3])  # fmt: skip
        raise InputError(f"The cell's inputs have {len(data) >> 20} MiB, over {LIMIT >> 20}: {largest}.",
                         "Load big data in the cell, or send less with -i.")  # fmt: skip
    return Inputs(data, sizes, _mode(same_minor), definitions)


def unpack(data: bytes | bytearray, packed: list[dict[str, Any]]) -> list[Any]:
    """Returns the values of the items that the runner packed, in their order.

    Raises:
        Exception: whatever unpickling raises; the bytes are as they were.
    """
    if len(packed) == 1:
        return [pickle.loads(data)]  # without a copy of a large one
    unpickler = pickle.Unpickler(io.BytesIO(data))
    return [unpickler.load() for _ in packed]


def _mode(same_minor: bool) -> str:
    return "pickle" if same_minor else "data"


def _pickler(file: io.BytesIO, namespace: dict[str, Any], same_minor: bool) -> pickle.Pickler:
    if same_minor:
        return pack.pickler(file, namespace, carry=True)
    return pickle.Pickler(file, protocol=pack.PROTOCOL)


def _culprit(
    values: dict[str, Any], namespace: dict[str, Any], same_minor: bool, error: Exception
) -> InputError:
    for name, value in values.items():
        try:
            _pickler(io.BytesIO(), namespace, same_minor).dump(value)
        except Exception as found:  # noqa: BLE001 -- the same again
            return InputError(
                f"{name} ({type(value).__name__}) cannot be sent: {found}",
                "Make it in the cell instead, or name with -i what the cell really needs.",
            )
    return InputError(f"The inputs cannot be sent together: {error}", "Send less with -i.")


def _sizes(values: dict[str, Any], total: int) -> dict[str, tuple[str, int]]:
    if len(values) == 1:
        return {name: (type(value).__name__, total) for name, value in values.items()}
    return {name: (type(value).__name__, getattr(value, "nbytes", 0) or sys.getsizeof(value, 0))
            for name, value in values.items()}  # fmt: skip


def _as_source(
    values: dict[str, Any], namespace: dict[str, Any]
) -> tuple[dict[str, Any], tuple[tuple[str, str], ...]]:
    """Splits values into plain data and the source of the notebook's definitions they need."""
    data: dict[str, Any] = {}
    definitions: list[tuple[str, str]] = []
    seen = set()

    def take(name: str, value: Any) -> None:
        if name in seen:
            return
        seen.add(name)
        if isinstance(value, types.ModuleType):
            definitions.append(_imported(name, value.__name__, ""))
        elif not isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
            data[name] = value
        elif value.__module__ != "__main__":
            definitions.append(_imported(name, value.__module__, value.__qualname__))
        else:
            source, filename = _source_of(value.__name__, value)
            for used in sorted(free_names(source)):  # what it needs comes before it
                if used in namespace and used not in HIDDEN:
                    take(used, namespace[used])
            if name != value.__name__ and value.__name__ != "<lambda>":
                source += f"\n{name} = {value.__name__}"
            definitions.append((source, filename))

    for name, value in values.items():
        take(name, value)
    return data, tuple(definitions)


def _imported(name: str, module: str, attribute: str) -> tuple[str, str]:
    path = f".{attribute}" if attribute else ""
    return (
        f"import importlib; {name} = importlib.import_module({module!r}){path}",
        "<podtask imports>",
    )


def _source_of(name: str, value: Any) -> tuple[str, str]:
    """Returns (source, filename) of a notebook's function or class, at its own line numbers.

    Raises:
        InputError: no cell's source has it.
    """
    if isinstance(value, types.FunctionType):
        try:
            lines, start = inspect.getsourcelines(value)
        except (OSError, TypeError):
            pass
        else:
            return "\n" * (start - 1) + inspect.cleandoc(
                "\n" + "".join(lines)
            ), value.__code__.co_filename
    else:
        for filename, entry in reversed(list(linecache.cache.items())):
            text = "".join(entry[2]) if len(entry) == 4 else ""
            if f"class {name}" not in text:
                continue
            try:
                body = ast.parse(text).body
            except SyntaxError:
                continue
            for node in body:
                if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                    return "\n" * (node.lineno - 1) + (
                        ast.get_source_segment(text, node) or ""
                    ), filename
    raise InputError(
        f"{name} cannot be sent to another Python than {sys.version_info[0]}.{sys.version_info[1]}: "
        "its source was not found.",
        "Define it in a cell of this notebook, or use an image with the notebook's Python.",
    )
