"""Pickle the items of a map, one by one; note what they need besides the inputs that all items share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..channel.item_channel import Item
from ..errors import InputError
from ..pickling.inputs import pack_inputs
from ..pickling.memory_maps import reduce_to_copy
from ..runner.pickler import Packer
from ..runner.plain_items import dump_if_plain
from ..runner.protocol import MAX_ITEM_BYTES

TYPES = "__podtask_item_types__"  # the variable with the classes and functions that items refer to


class ItemPacker:
    """Packs items.

    Args:
        namespace: Globals of the notebook, in which its functions are defined.
        limit: Maximum size of one item, in bytes.
    """

    def __init__(self, namespace: dict[str, Any], limit: int) -> None:
        self._namespace = namespace
        self._limit = min(limit, MAX_ITEM_BYTES)
        self._names: set[str] = set()
        self._types: dict[int, Any] = {}

    @property
    def needed(self) -> dict[str, Any]:
        """The values that workers need: globals of the functions among the items, and their classes."""
        found = {name: self._namespace[name] for name in sorted(self._names) if name in self._namespace}
        if self._types:
            found[TYPES] = list(self._types.values())
        return found

    def pack(self, index: int, bindings: Mapping[str, Any], values: Callable[[], dict[str, Any]]) -> Item:
        """Pack one item.

        Args:
            index: Its index in the map.
            bindings: Its variables.
            values: Returns the same values by the names that an error may have.

        Raises:
            InputError: It cannot be pickled, or exceeds the limit.
        """
        plain = dump_if_plain(bindings)
        if plain is not None and len(plain) <= self._limit:
            return Item(index, plain)
        buffer = _ItemBuffer()
        try:
            with Packer(buffer, self._namespace, plain=False, reduce=reduce_to_copy) as packer:
                packer.dump(dict(bindings))
                self._names |= packer.needs
                self._types.update((id(each), each) for each in packer.types if _is_own(each))
        except Exception:
            pack_inputs(values(), self._namespace, limit=self._limit)  # raises the error that names the part
            raise
        if buffer.size > self._limit:
            pack_inputs(values(), self._namespace, limit=self._limit)
            raise InputError(f"It is over the limit of {self._limit >> 20} MiB.", "Raise --max-input.")
        return buffer.item(index)


def _is_own(kind: Any) -> bool:
    """Return whether workers may lack a class, function or module: it is not built in."""
    return getattr(kind, "__module__", None) not in ("builtins", None) or not hasattr(kind, "__qualname__")


class _ItemBuffer:
    """Stores the pickle of an item and its buffers."""

    def __init__(self) -> None:
        self.size = 0
        self._stream: list[bytes] = []
        self._buffers: list[bytes] = []

    def write(self, data: Any) -> int:
        piece = data if type(data) is bytes else bytes(data)
        self._stream.append(piece)
        self.size += len(piece)
        return len(piece)

    def write_buffer(self, view: Any) -> None:
        self._buffers.append(bytes(view))  # a copy: the notebook may change the array
        self.size += view.nbytes

    def item(self, index: int) -> Item:
        stream = b"".join(self._stream)
        if not self._buffers:
            return Item(index, stream)
        sizes = (len(stream), *map(len, self._buffers))
        return Item(index, b"".join((stream, *self._buffers)), sizes)
