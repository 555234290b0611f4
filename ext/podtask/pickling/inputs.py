"""Pickle the inputs of a cell, and measure the size of each.

A pickled function contains byte code, which crashes the interpreter of another minor version. So
the runner reports its version first. For another version, definitions are sent as source and
everything else as plain data.
"""

from __future__ import annotations

import ast
import copy
import dis
import functools
import hashlib
import linecache
import pickle
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cell.cell import Cell
from ..cell.ipython_syntax import dotted
from ..cell.scopes import nodes_of
from ..errors import InputError
from ..runner.bundle import MINOR
from ..runner.pickler import ALIGN, PROTOCOL, Packer, module_of, versions
from ..runner.protocol import MAX_WATCHED_BYTES
from .cell_sources import Source
from .definition_order import SortedDefinitions
from .definitions import attribute_value, sort_definitions
from .ipython_names import HISTORY, is_ipython_name
from .local_modules import IMPORT_FUNCTIONS, LocalModules, find_local_modules, imported_modules, submodules
from .made_functions import FunctionReducer, is_made, source_of_function
from .memory_maps import is_memory_map, memory_map_notes, reduce_to_copy, reduce_to_file
from .module_values import IMMUTABLE, ModuleValue, changed_values
from .registries import MAX_OBJECTS, IncompleteCopy, contents
from .runtime_modules import pack_runtime_modules
from .source_classes import registered_definitions, sort_registered
from .state import NO_STATE, LibraryState
from .unpicklable import find_unpicklable

MAX_INPUT_BYTES = 256 << 20
EMPTY = Cell("", "<podtask cell>")


@dataclass(frozen=True)
class Inputs:
    """The pickled inputs of a cell.

    Args:
        parts: Pieces of the pickle, then the out-of-band buffers.
        about: Metadata for the runner: ``mode``, ``steps``, ``changing``, ``buffers``, ``versions``,
            ``modules``, ``local_modules``, ``module_values``, ``watched``.
        sizes: Maps the name of a value, or that of an attribute (``module.name``, ``Model.rate``), to the name of its type and its size in bytes.
        notes: Lines to show to the user.
        left_out: Maps the name of a value that cannot be sent, and that the cell may set itself,
            to the reason.
        warnings: Lines to show before a pod is created.
    """

    parts: tuple[bytes | memoryview, ...]
    about: dict[str, Any]
    sizes: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @functools.cached_property
    def sha256(self) -> str | None:
        """The SHA-256 of all parts, in hexadecimal digits, by which a runner knows them; None if there are none.

        It takes 70 ms for 100 MB. Other threads run meanwhile.
        """
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(part)
        return digest.hexdigest() if self.parts else None


class _ValueLeftOut(Exception):
    """A value cannot be pickled, but the cell may not need it."""


class _SourcesNeeded(Exception):
    """A value refers to a definition that is sent as source, which must come first."""


def select(
    reads: Iterable[str], wanted: tuple[str, ...] | None, namespace: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values to send: those named in ``wanted``, or else those that the cell reads.

    Raises:
        InputError: A wanted name does not exist, or belongs to IPython; or the cell reads the history.
    """
    if wanted is not None:
        own = [name for name in wanted if name in namespace and is_ipython_name(name, namespace)]
        if own:
            raise InputError(
                f"-i {own[0]}: this name belongs to IPython and cannot be sent.",
                "Assign the value that the cell needs to a variable: answer = Out[3], then -i answer.",
            )
        missing = [name for name in wanted if name not in namespace]
        if missing:
            raise InputError(
                f"-i {missing[0]}: the notebook has no such variable.",
                "Run the cell that defines it, or remove it from -i.",
            )
        return {name: namespace[name] for name in wanted}
    reads = list(reads)
    for name in reads:
        if name in HISTORY and name in namespace and is_ipython_name(name, namespace):
            raise InputError(
                f"The cell reads {name}, the history of the notebook, which cannot be sent.",
                "Assign the value that the cell needs to a variable in the notebook: answer = Out[3].",
            )
    return {name: namespace[name] for name in reads if _can_be_sent(name, namespace)}


def pack_inputs(
    values: dict[str, Any],
    namespace: dict[str, Any],
    python: str = MINOR,
    cell: Cell = EMPTY,
    limit: int = MAX_INPUT_BYTES,
    state: LibraryState = NO_STATE,
    local: bool = False,
    kept: Collection[str] = (),
    references: Iterable[str] = (),
) -> Inputs:
    """Return the pickled inputs.

    Leave out a value that cannot be pickled if the cell may set it before each use. For example, a
    cell that opens a connection can run again.

    Args:
        values: Values from :func:`select`.
        namespace: Globals of the notebook, in which its functions are defined.
        python: Minor Python version of the pod.
        cell: Cell that uses the values.
        limit: Maximum size of all inputs, in bytes.
        state: State of the notebook's libraries, which is sent with the values.
        local: Whether the cell runs on this machine, where memory maps open the same files.
        kept: Names that are not sent although functions need them: the session has them.
        references: Those of them whose objects the values refer to; the session's objects take their place.

    Raises:
        InputError: A value cannot be pickled, or the inputs exceed the limit.
    """
    left_out: dict[str, str] = {}
    registered = registered_definitions(namespace) if python == MINOR else {}
    named = {id(value): name for name, value in registered.items()}
    source_steps: list[tuple[str, Source | None]] = []
    while True:
        try:
            return _packed(
                values,
                namespace,
                python,
                cell,
                limit,
                left_out,
                state,
                local,
                named,
                source_steps,
                kept,
                tuple(references),
            )
        except _SourcesNeeded:
            source_steps = sort_registered(registered, namespace)
        except _ValueLeftOut as error:
            name, why = error.args
            left_out[name] = why  # it is half pickled, so start again


def _todo(
    values: dict[str, Any],
    namespace: dict[str, Any],
    python: str,
    source_steps: list[tuple[str, Source | None]],
    left_out: Collection[str],
) -> SortedDefinitions:
    """Return what is sent, in order."""
    if python != MINOR:
        todo = sort_definitions(values, namespace, python, registered_definitions(namespace))
    else:
        first = {name for name, _ in source_steps}
        steps = [*source_steps, *((name, None) for name in values if name not in first)]
        todo = SortedDefinitions(steps)
    return todo.without(left_out)


def _packed(
    values: dict[str, Any],
    namespace: dict[str, Any],
    python: str,
    cell: Cell,
    limit: int,
    left_out: dict[str, str],
    state: LibraryState,
    shares_files: bool,
    named: dict[int, str],
    source_steps: list[tuple[str, Source | None]],
    kept: Collection[str],
    references: tuple[str, ...],
) -> Inputs:
    same = python == MINOR
    order = _todo(values, namespace, python, source_steps, {*left_out, *kept})
    todo = [*order.steps]
    buffer = _PickleBuffer(limit)
    steps: list[Any] = []
    sizes: dict[str, tuple[str, int]] = {}
    roots = {name: name for name in values} | {name: name for name, _ in todo}
    reduce = reduce_to_file if shares_files else reduce_to_copy
    reduce_function = None if same else FunctionReducer(namespace, order.incomplete_functions)
    with Packer(
        buffer, namespace, plain=not same, reduce=reduce, named=named, reduce_function=reduce_function
    ) as packer:
        for name in references:
            packer.dump_reference(name, namespace[name])
            steps.append(name)
        for name, source in todo:
            if source is not None:
                steps.append(source)
                continue
            value = values[name] if name in values else attribute_value(name, namespace)
            before = buffer.size
            part = order.incomplete.get(name)
            _dump(packer, name, value, namespace, cell, roots.get(name, name), same, part)
            if packer.used_names and not source_steps:
                raise _SourcesNeeded
            steps.append(name)
            sizes[name] = (type(value).__name__, buffer.size - before)
            if same:
                root = roots[name]
                there = {*left_out, *kept, *cell.set_before.get(root, ())}
                new = [
                    each
                    for each in sorted(packer.needs - roots.keys() - there)
                    if _can_be_sent(each, namespace)
                ]
                roots.update(dict.fromkeys(new, root))
                todo += [(each, None) for each in new]
        _dump_again(packer, buffer, order, namespace, cell, roots, sizes)
        used = versions(packer.types)
        modules = {*imported_modules(cell.source), *_modules_of([*packer.types, *state.used])}
        for source in (source for _, source in todo if source is not None):
            modules |= imported_modules(source[0])  # for another Python, also a module is sent as source
        local, more_notes, changed = _pack_modules(modules, packer, buffer, namespace, not same)
    if buffer.size > limit:
        mine = [name for name in sizes if cell.may_set(name, roots.get(name, name))]
        raise _over_limit(sizes, buffer.size, limit, mine)
    below = _below(cell, todo, namespace, packer.made_functions)
    places = {source[1] for _, source in todo if source is not None}
    made = pack_runtime_modules(local.runtime, namespace, same)
    beside = local.files, _cells_of(packer.types, places), made, state.as_data() if state else {}
    parts, buffers = buffer.parts(pickle.dumps(beside, PROTOCOL) if any(beside) else b"")
    inputs = namespace | values
    here = {*local.roots, *local.runtime}
    about = {
        "mode": "pickle" if same else "data",
        "steps": steps,
        "changing": list(order.changing),
        "beside": any(beside),
        "local_modules": bool(local.files),
        "buffers": buffers,
        "versions": {root: version for root, version in used.items() if root not in here},
        "module_values": [value.step for value, _ in changed],
        "modules": below,
        "watched": [
            name for name in _watched(sizes, inputs) if not (shares_files and is_memory_map(inputs[name]))
        ],
    }
    sizes |= {str(each): (type(each.value).__name__, size) for each, size in changed}
    notes = (*local.notes, *more_notes)
    if not shares_files:
        notes += (*memory_map_notes({name: inputs[name] for name in sizes if name in inputs}),)
    return Inputs(parts, about, sizes, notes, left_out, tuple(local.warnings))


def _dump(
    packer: Packer,
    name: str,
    value: Any,
    namespace: dict[str, Any],
    cell: Cell,
    root: str,
    same: bool,
    part: IncompleteCopy | None = None,
) -> None:
    """Pickle a value, or its incomplete copy, or raise the error that names the part that cannot be pickled."""
    try:
        if part is None:
            packer.dump(value)
        else:
            packer.dump_incomplete(part.copy, part.copies)
    except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
        if cell.may_set(name, root):
            raise _ValueLeftOut(name, f"{type(error).__name__}: {error}"[:200]) from None
        raise find_unpicklable(name, value, namespace, not same, error, root) from None


def _dump_again(
    packer: Packer,
    buffer: _PickleBuffer,
    order: SortedDefinitions,
    namespace: dict[str, Any],
    cell: Cell,
    roots: Mapping[str, str],
    sizes: dict[str, tuple[str, int]],
) -> None:
    """Pickle the values that executing definitions may change, with the content of their containers; add the sizes."""
    for name in order.changing:
        before = buffer.size
        value = attribute_value(name, namespace)
        if isinstance(value, Iterator) and type(value).__module__ in ("itertools", "builtins"):
            value = copy.copy(value)  # a counter of itertools has no content that could be set again
        limit = None if name in order.incomplete else MAX_OBJECTS
        again = contents(value, lambda each: is_made(each, namespace), limit)
        _dump(packer, name, (value, again), namespace, cell, roots.get(name, name), same=False)
        sizes[name] = type(value).__name__, sizes[name][1] + buffer.size - before


def _pack_modules(
    names: set[str], packer: Packer, buffer: _PickleBuffer, namespace: dict[str, Any], plain: bool
) -> tuple[LocalModules, list[str], list[tuple[ModuleValue, int]]]:
    """Pickle the changed values of local modules.

    Returns:
        The modules, a line for each value that is not sent, and the values with their sizes.
    """
    local = find_local_modules(names)
    if not local.files:
        return local, [], []
    changed, notes = changed_values(local.sources, namespace, plain)
    sizes = []
    for each in changed:
        before = buffer.size
        packer.dump(each.value)
        sizes.append((each, buffer.size - before))
    if changed:  # they may be of classes of further modules
        local = find_local_modules({*names, *_modules_of(packer.types)})
    return local, notes, sizes


def _watched(sizes: Mapping[str, tuple[str, int]], values: Mapping[str, Any]) -> list[str]:
    """Return the names of mutable values, smallest first, up to a total size."""
    found, room = [], MAX_WATCHED_BYTES
    for name, (_, size) in sorted(sizes.items(), key=lambda item: item[1][1]):
        room -= size
        if room < 0:
            break
        if name in values and not name.startswith("_") and not isinstance(values[name], IMMUTABLE):
            found.append(name)
    return found


def _below(
    cell: Cell,
    sent: Iterable[tuple[str, Source | None]],
    namespace: Mapping[str, Any],
    made_functions: Iterable[Any],
) -> list[str]:
    """Return the submodules used by the cell and by the definitions and functions that are sent as source."""
    sent = list(sent)
    given = {name: namespace[name] for name, _ in sent if name in namespace}
    found = {*submodules(cell.dotted, given, cell.source)}
    for _, source in sent:
        if source is not None:
            found |= {*submodules(dotted(nodes_of(ast.parse(source[0]))), given)}
    for made in map(source_of_function, made_functions):
        if made is not None:
            found |= {*submodules(dotted(nodes_of(ast.parse(made.text))), given)}
    return sorted(found)


def _modules_of(used: Iterable[Any]) -> Iterator[str]:
    """Yield the modules of the objects that values refer to, and those imported in their functions."""
    for each in used:
        yield module_of(each)
        if isinstance(each, types.FunctionType) and each.__module__ == "__main__":
            codes = [each.__code__]
            for code in codes:
                codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
                for step in dis.get_instructions(code):
                    if step.opname == "IMPORT_NAME":
                        yield str(step.argval)
                if IMPORT_FUNCTIONS.intersection(code.co_names):
                    yield from (const for const in code.co_consts if isinstance(const, str))


def _cells_of(used: Iterable[Any], names: set[str]) -> dict[str, str]:
    """Return the sources of the named cells and of the cells that define functions, by filename."""
    names |= {each.__code__.co_filename for each in used if isinstance(each, types.FunctionType)}
    found = {name: linecache.cache[name] for name in names if name in linecache.cache}
    return {
        name: "".join(entry[2]) for name, entry in found.items() if len(entry) == 4 and entry[1] is None
    }  # None: not read from a file


def _can_be_sent(name: str, namespace: Mapping[str, Any]) -> bool:
    return name in namespace and not is_ipython_name(name, namespace)


def _over_limit(sizes: Mapping[str, tuple[str, int]], size: int, limit: int, mine: list[str]) -> Exception:
    """Return the error for inputs over the limit, or the exception to leave out the largest optional one."""
    if mine:
        name = max(mine, key=lambda each: sizes[each][1])
        return _ValueLeftOut(name, f"{sizes[name][1] >> 20} MiB; the limit is {limit >> 20} MiB")
    ordered = sorted(sizes.items(), key=lambda item: -item[1][1])
    largest = ", ".join(
        f"{name} ({kind}, {size >> 20} MiB)" for name, (kind, size) in ordered[:3] if size >> 20
    )
    return InputError(
        f"The cell's inputs are {size >> 20} MiB, over the limit of {limit >> 20} MiB: {largest}.",
        "Load large data in the cell, send fewer variables with -i, or raise --max-input.",
    )


class _PickleBuffer:
    """Store pickled data; past the limit only count it, so that the error can report all sizes."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._stream: list[bytes] = []
        self._apart: list[bytes] = []

    def write(self, data: Any) -> int:
        return self._store(self._stream, data)

    def write_buffer(self, view: Any) -> None:
        # Copy it: the notebook may change the array while it is being sent.
        self._store(self._apart, view)

    def parts(self, head: bytes) -> tuple[tuple[bytes | memoryview, ...], list[tuple[int, int]]]:
        """Return all pieces with the buffers aligned at the end, and the offset and size of each buffer."""
        pieces: list[bytes] = [head, *self._stream]
        offset = sum(map(len, pieces))
        places = []
        for buffer in self._apart:
            pad = -offset % ALIGN
            pieces += [bytes(pad), buffer]
            places.append((offset + pad, len(buffer)))
            offset += pad + len(buffer)
        return tuple(piece for piece in pieces if piece), places

    def _store(self, pieces: list[bytes], data: Any) -> int:
        with memoryview(data) as view:
            size = view.nbytes
            self.size += size
            if self.size <= self._limit:
                # A large object of type bytes comes as it is, and cannot change while it is being sent.
                pieces.append(data if type(data) is bytes else bytes(view))
        return size
