"""Pack the calls of an executor: the function of the first one with the workers, the others with their items."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..cell.cell import Cell
from ..channel.item_channel import Item
from ..config.options import RunOptions
from ..config.quantities import to_decimal
from ..errors import InputError
from ..lifecycle.prepare import PreparedCell, prepare
from ..pickling.function_call import CALL, FunctionCall
from ..pickling.inputs import pack_inputs
from ..runner.plain_items import dump_if_plain
from ..runner.protocol import MAX_ITEM_BYTES, RUNNER_FILENAME
from .mapped_call import ITEM


@dataclass(frozen=True)
class AnyCall(FunctionCall):
    """The call that an item brings. An item without a function calls that of the workers."""

    @property
    def cell(self) -> Cell:
        """Cell that makes one call; tracebacks leave out its line."""
        function = f"({CALL} if {ITEM}[0] is None else {ITEM})[0]"
        return Cell(f"{function}(*{ITEM}[1], **{ITEM}[2])", f"{RUNNER_FILENAME}/call.py")


class CallPacker:
    """Packs calls.

    Args:
        options: Options of the workers; the template is resolved.

    Attributes:
        prepared: What the workers get; None before the first call.
    """

    def __init__(self, options: RunOptions) -> None:
        self.prepared: PreparedCell | None = None
        self._options = options.replace(notify=False)
        self._limit = min(int(to_decimal(options.max_input)), MAX_ITEM_BYTES)
        self._shared: Callable[..., Any] | None = None

    def pack(
        self, index: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Item:
        """Pack one call.

        Args:
            index: Its index among the calls.
            function: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            InputError: An option, the template, the function or an argument is wrong; nothing was sent.
        """
        call = FunctionCall(function, args, kwargs)
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            raise InputError(
                f"{call.name} is a coroutine function, and an executor does not await what a function returns.",
                "Decorate it with @podtask.task, and use its submit or submit_map.",
            )
        if self.prepared is None:
            first = AnyCall(function, (), {})
            self.prepared = prepare(first.cell, self._options, first.namespace, first)
            self._shared = function
        bindings = {ITEM: (None if function is self._shared else function, args, dict(kwargs))}
        plain = dump_if_plain(bindings)
        if plain is not None and len(plain) <= self._limit:
            return Item(index, plain)
        try:
            inputs = pack_inputs(bindings, call.namespace, limit=self._limit, local=self._options.local)
        except InputError:
            try:
                pack_inputs(call.values, call.namespace, limit=self._limit)
            except InputError as error:
                raise call.in_call_terms(error) from None
            raise
        return Item(index, b"".join(inputs.parts), about=inputs.about)
