"""Check and pack what a map sends: the function and what all items share once, and each item."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..cell.cell import Cell
from ..channel.item_channel import Item
from ..config.options import BATCH, PLAIN, RunOptions
from ..config.quantities import to_decimal
from ..errors import InputError
from ..lifecycle.prepare import PreparedCell, SelectedInputs, prepare
from ..pickling.function_call import FunctionCall
from .item_packer import ItemPacker
from .mapped_call import ITEM, MappedCall

MAX_WORKERS = 64
DEFAULT_WORKERS = 16


@dataclass(frozen=True)
class PreparedMap:
    """What a map sends.

    Args:
        cell: The cell that runs for each item, with the inputs that all items share.
        items: The items.
        returned: Names of the variables that are the result of an item; none for the last value.
        workers: How many workers there are to be at most.
    """

    cell: PreparedCell
    items: Sequence[Item]
    returned: tuple[str, ...]
    workers: int


def check_workers(workers: Any, option: str = "workers") -> int:
    """Return a number of workers.

    Args:
        workers: What the user has given.
        option: Its name.

    Raises:
        InputError: It is not a whole number from 1 to 64.
    """
    if not hasattr(workers, "__index__") or workers < 1:
        raise InputError(f"{option}={workers!r} is not a positive whole number.", "Give 1 or more.")
    if workers > MAX_WORKERS:
        raise InputError(
            f"{option}={workers!r} is more than the {MAX_WORKERS} workers that a notebook can feed.",
            "Give each worker more items, or start an engine such as Dask or Ray in the pods.",
        )
    return int(workers)


def runs_on_workers(options: RunOptions) -> bool:
    """Return whether a map with these options runs on workers, which need a connection and pickles.

    In a session, detached, in batch mode and with plain results, each call is a task of its own.
    """
    return not (options.session or options.detach or options.results == PLAIN or options.channel == BATCH)


def prepare_function_map(
    function: Callable[..., Any], all_args: Sequence[tuple[Any, ...]], options: RunOptions, workers: int
) -> PreparedMap:
    """Pack a function and the arguments of its calls.

    Args:
        function: The function.
        all_args: The arguments of each call.
        options: Options of the workers; the template is resolved.
        workers: How many workers there are to be at most.

    Raises:
        InputError: An option, the template or an argument is wrong; nothing was sent.
    """
    calls = [FunctionCall(function, args, {}) for args in all_args]
    for call in calls:
        call.check()
    namespace = MappedCall(function, (), {}).namespace
    packer = ItemPacker(namespace, int(to_decimal(options.max_input)))
    items = []
    for index, call in enumerate(calls):
        try:
            items.append(packer.pack(index, {ITEM: call.args}, lambda call=call: call.values))  # type: ignore[misc]
        except InputError as error:
            worded = call.in_call_terms(error)
            raise InputError(f"Call {index + 1} of {len(calls)}: {worded.message}", worded.hint) from None
    mapped = MappedCall(function, (), {}, packer.needed)
    options = options.replace(notify=False)
    return PreparedMap(prepare(mapped.cell, options, namespace, mapped), items, (), workers)


def prepare_cell_map(cell: Cell, options: RunOptions, namespace: dict[str, Any]) -> PreparedMap:
    """Pack a cell with the values that all items share, and the values of each item.

    Args:
        cell: The cell.
        options: Its options; the template is resolved.
        namespace: The notebook's namespace.

    Raises:
        InputError: An option or a value is wrong; nothing was sent.
    """
    if not runs_on_workers(options) or options.results_in or options.outputs == ("auto",):
        raise InputError(
            "--map runs the cell in workers, which send one value for each item.",
            "Leave out -d, --session, --results plain, --results-in and --channel batch; name the variables of -o.",
        )
    names = {name for name, _ in options.mapped}
    packer = ItemPacker(namespace, int(to_decimal(options.max_input)))
    items = []
    for index, bindings in enumerate(_bindings(options, namespace)):
        try:
            items.append(packer.pack(index, bindings, lambda bindings=bindings: dict(bindings)))  # type: ignore[misc]
        except InputError as error:
            raise InputError(f"Item {index} of --map: {error.message}", error.hint) from None

    def choose(values: dict[str, Any]) -> SelectedInputs:
        sent = {
            name: value
            for name, value in values.items()
            if name not in names and (options.inputs is None or name in options.inputs)
        }
        needed = {name: value for name, value in packer.needed.items() if name not in names}
        return SelectedInputs({**sent, **needed}, frozenset(names))

    workers = check_workers(options.workers or DEFAULT_WORKERS, "--workers")
    worker_options = options.replace(notify=False, outputs=())
    prepared = prepare(cell, worker_options, namespace, choose=choose)
    return PreparedMap(prepared, items, options.outputs, workers)


def _bindings(options: RunOptions, namespace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the variables of each item.

    Raises:
        InputError: A list does not exist, cannot be iterated, or is shorter than another one.
    """
    lists: dict[str, list[Any]] = {}
    for name, source in options.mapped:
        if source not in namespace:
            raise InputError(
                f"--map {name}={source}: the notebook has no variable {source}.",
                "Run the cell that defines it.",
            )
        try:
            lists[name] = list(namespace[source])
        except TypeError:
            raise InputError(
                f"--map {name}={source}: {source} ({type(namespace[source]).__name__}) has no items.",
                "Name a list, or another iterable.",
            ) from None
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1 and not options.grid:
        found = ", ".join(f"{source} {len(lists[name])}" for name, source in options.mapped)
        raise InputError(
            f"The lists of --map have different lengths: {found}.",
            "Give lists of one length, or --grid for all combinations.",
        )
    combined = itertools.product(*lists.values()) if options.grid else zip(*lists.values(), strict=True)
    return [dict(zip(lists, values, strict=True)) for values in combined]
