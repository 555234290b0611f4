"""Inputs on their way out: one pickle, sizes by name, and nothing loaded across minors.

A pickled function is byte code: under another minor version of Python it crashes the
interpreter. So the runner says its version first; for another one, definitions travel as source
and the rest as plain data.
"""

from __future__ import annotations

import ast
import dis
import linecache
import pickle
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cell.cell import Cell
from ..cell.ipython_syntax import dotted
from ..errors import InputError
from ..runner.bundle import MINOR
from ..runner.pickler import ALIGN, PROTOCOL, Packer, module_of, versions
from ..runner.protocol import MAX_WATCHED_BYTES
from .definitions import Source, in_order
from .ipython_names import is_hidden
from .local_modules import imported, local_sources, submodules
from .unpicklable import find_unpicklable

LIMIT = 256 << 20
FIXED = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    range,
    type(None),
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
)
EMPTY = Cell("", "<podtask cell>")


@dataclass(frozen=True)
class Inputs:
    """What a cell is given.

    Args:
        parts: the pickle in pieces, then the buffers that go apart.
        about: what the runner must know of it: ``mode``, ``steps``, ``buffers``, ``versions``,
            ``modules``, ``watched``.
        sizes: name -> (type's name, bytes), of values.
        notes: lines for the user.
        left_out: name -> why it cannot be sent, of values that the cell may set itself.
    """

    parts: tuple[Any, ...]
    about: dict[str, Any]
    sizes: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


class _LeftOut(Exception):
    """A value cannot be pickled, and the cell may do without it."""


def select(
    reads: Iterable[str], wanted: tuple[str, ...] | None, namespace: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values to send: those of ``wanted``, else those the cell reads.

    Raises:
        InputError: a wanted name does not exist, or is the notebook's own.
    """
    if wanted is not None:
        own = [name for name in wanted if name in namespace and is_hidden(name, namespace)]
        if own:
            raise InputError(
                f"-i {own[0]}: this is the notebook's own, and stays there.",
                "Give what the cell needs of it a name: answer = Out[3], and -i answer.",
            )
        missing = [name for name in wanted if name not in namespace]
        if missing:
            raise InputError(
                f"-i {missing[0]}: there is no such name in the notebook.",
                "Run the cell that sets it, or leave it out of -i.",
            )
        return {name: namespace[name] for name in wanted}
    return {name: namespace[name] for name in reads if _may_travel(name, namespace)}


def pack_inputs(
    values: dict[str, Any],
    namespace: dict[str, Any],
    python: str = MINOR,
    cell: Cell = EMPTY,
    limit: int = LIMIT,
) -> Inputs:
    """Return the pickled inputs.

    What the cell may set before each use, and cannot be sent, is left out: a cell that makes a
    connection can run again.

    Args:
        values: what :func:`select` gave.
        namespace: the notebook's globals, which functions live in.
        python: minor version of the pod's Python.
        cell: what uses them.
        limit: bytes.

    Raises:
        InputError: a value cannot be pickled, or all are over the limit; names it.
    """
    left: dict[str, str] = {}
    while True:
        try:
            return _packed(values, namespace, python, cell, limit, left)
        except _LeftOut as error:
            name, why = error.args
            left[name] = why  # its half in the memo is of no use: begin again


def _packed(
    values: dict[str, Any],
    namespace: dict[str, Any],
    python: str,
    cell: Cell,
    limit: int,
    left: dict[str, str],
) -> Inputs:
    same = python == MINOR
    todo: list[tuple[str, Source | None]] = (
        [(name, None) for name in values] if same else in_order(values, namespace, python)
    )
    todo = [(name, source) for name, source in todo if name not in left]
    sink = _Sink(limit)
    steps: list[Any] = []
    sizes: dict[str, tuple[str, int]] = {}
    roots = {name: name for name in values}
    with Packer(sink, namespace, plain=not same) as packer:
        for name, source in todo:
            if source is not None:
                steps.append(source)
                continue
            value = values[name] if name in values else namespace[name]
            before = sink.size
            try:
                packer.dump(value)
            except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
                root = roots.get(name, name)
                if cell.may_set(name, root):
                    raise _LeftOut(name, f"{type(error).__name__}: {error}"[:200]) from None
                raise find_unpicklable(name, value, namespace, not same, error, root) from None
            steps.append(name)
            sizes[name] = (type(value).__name__, sink.size - before)
            if same:
                root = roots[name]
                for new in sorted(
                    packer.needs - roots.keys() - left.keys() - cell.set_before.get(root, frozenset())
                ):
                    if _may_travel(new, namespace):
                        roots[new] = root
                        todo.append((new, None))
    if sink.size > limit:
        mine = [name for name in sizes if cell.may_set(name, roots.get(name, name))]
        raise _over_limit(sizes, sink.size, limit, mine)
    below = _below(cell, todo, namespace)
    local, notes = local_sources({*imported(cell.source), *_modules_of(packer.types)})
    places = {source[1] for _, source in todo if source is not None}
    beside = local, _cells_of(packer.types, places)
    parts, buffers = sink.parts(pickle.dumps(beside, PROTOCOL) if any(beside) else b"")
    used = {root: version for root, version in versions(packer.types).items() if root not in local}
    about = {
        "mode": "pickle" if same else "data",
        "steps": steps,
        "beside": any(beside),
        "buffers": buffers,
        "versions": used,
        "modules": below,
        "watched": _watched(sizes, namespace | values),
    }
    return Inputs(parts, about, sizes, notes, left)


def _watched(sizes: Mapping[str, tuple[str, int]], values: Mapping[str, Any]) -> list[str]:
    """Return names of values that may change in place, the smallest, up to a megabyte in all."""
    found, room = [], MAX_WATCHED_BYTES
    for name, (_, size) in sorted(sizes.items(), key=lambda item: item[1][1]):
        room -= size
        if room < 0:
            break
        if not name.startswith("_") and not isinstance(values[name], FIXED):  # nor told, nor sent
            found.append(name)
    return found


def _below(cell: Cell, sent: Iterable[tuple[str, Source | None]], namespace: Mapping[str, Any]) -> list[str]:
    """Return the modules below others that the cell uses, and what travels as source."""
    sent = list(sent)
    given = {name: namespace[name] for name, _ in sent if name in namespace}
    found = {*submodules(cell.dotted, given, cell.source)}
    for _, source in sent:
        if source is not None:
            found |= {*submodules(dotted(ast.parse(source[0])), given)}
    return sorted(found)


def _modules_of(used: Iterable[Any]) -> Iterator[str]:
    """Yield the modules of what values refer to, and those that the notebook's functions import."""
    for each in used:
        yield module_of(each)
        if isinstance(each, types.FunctionType) and each.__module__ == "__main__":
            codes = [each.__code__]
            for code in codes:
                codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
                for step in dis.get_instructions(code):
                    if step.opname == "IMPORT_NAME":
                        yield str(step.argval)


def _cells_of(used: Iterable[Any], names: set[str]) -> dict[str, str]:
    """Return filename -> source of the cells of these names, and of those functions come from."""
    names |= {each.__code__.co_filename for each in used if isinstance(each, types.FunctionType)}
    found = {name: linecache.cache[name] for name in names if name in linecache.cache}
    return {
        name: "".join(entry[2]) for name, entry in found.items() if len(entry) == 4 and entry[1] is None
    }  # None: in no file


def _may_travel(name: str, namespace: Mapping[str, Any]) -> bool:
    return name in namespace and not is_hidden(name, namespace)


def _over_limit(sizes: Mapping[str, tuple[str, int]], size: int, limit: int, mine: list[str]) -> Exception:
    """Return what is wrong with too large inputs: one to leave out of those the cell may set."""
    if mine:
        name = max(mine, key=lambda each: sizes[each][1])
        return _LeftOut(name, f"{sizes[name][1] >> 20} MiB; the limit is {limit >> 20}")
    ordered = sorted(sizes.items(), key=lambda item: -item[1][1])
    largest = ", ".join(
        f"{name} ({kind}, {size >> 20} MiB)" for name, (kind, size) in ordered[:3] if size >> 20
    )
    return InputError(
        f"The cell's inputs have {size >> 20} MiB, over the limit of {limit >> 20}: {largest}.",
        "Load big data in the cell, send less with -i, or raise --max-input.",
    )


class _Sink:
    """Take pickles; past the limit it only counts, so that the error can name the sizes."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._stream: list[bytes] = []
        self._apart: list[bytes] = []

    def write(self, data: Any) -> int:
        return self._take(self._stream, data)

    def take_apart(self, view: Any) -> None:
        # A copy: the notebook may change the array while it is under way.
        self._take(self._apart, view)

    def parts(self, head: bytes) -> tuple[tuple[Any, ...], list[tuple[int, int]]]:
        """Return all pieces, buffers aligned at the end; and (offset, size) of each buffer."""
        pieces: list[bytes] = [head, *self._stream]
        offset = sum(map(len, pieces))
        places = []
        for buffer in self._apart:
            pad = -offset % ALIGN
            pieces += [bytes(pad), buffer]
            places.append((offset + pad, len(buffer)))
            offset += pad + len(buffer)
        return tuple(piece for piece in pieces if piece), places

    def _take(self, pieces: list[bytes], data: Any) -> int:
        with memoryview(data) as view:
            size = view.nbytes
            self.size += size
            if self.size <= self._limit:
                pieces.append(bytes(view))
        return size
