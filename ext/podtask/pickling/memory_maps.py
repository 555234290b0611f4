"""Arrays of numpy that are memory maps of files: shared with a process on this machine, copied to a pod."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Mapping
from typing import Any

from ..runner.proxy_objects import Remote, reduce_instance

WRITABLE = ("r+", "w+")
OPEN = Remote("lambda *args: __import__('numpy').memmap(*args)")
# pickle makes a writable array of the subclass.
FILL_READ_ONLY = Remote(
    "lambda array, state: (type(array).__setstate__(array, state), array.setflags(write=False)) and None"
)


def reduce_to_copy(obj: Any) -> Any:
    """Return the reduced form of a read-only memory map, whose copy cannot be written to either; others as always."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(obj) is not numpy.memmap or obj.flags.writeable:
        return reduce_instance(obj)
    return (*obj.__reduce__(), None, None, FILL_READ_ONLY)


def reduce_to_file(obj: Any) -> Any:
    """Return the reduced form of a memory map, which opens its file again; for other values as always.

    A process on this machine writes to the same file then.
    """
    if not is_memory_map(obj):
        return reduce_instance(obj)
    order = "C" if obj.flags.c_contiguous else "F"
    if obj.mode == "c" or not obj.flags.forc or not os.path.exists(obj.filename):
        return NotImplemented  # its values differ from those in the file, or are not in one piece
    # The offset of a slice is that of the whole array.
    numpy = sys.modules["numpy"]
    start = numpy.frombuffer(obj._mmap, numpy.uint8).__array_interface__["data"][0]  # noqa: SLF001 -- numpy's own way
    distance = obj.__array_interface__["data"][0] - start
    offset = obj.offset - obj.offset % mmap.ALLOCATIONGRANULARITY + distance
    mode = "r+" if obj.mode in WRITABLE else "r"
    return OPEN, (str(obj.filename), obj.dtype, mode, offset, obj.shape, order)


def is_memory_map(obj: object) -> bool:
    """Return whether a value is an array in a file."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(obj, numpy.memmap):
        return False
    # What numpy computes from memory maps is of the same class, but in memory.
    return getattr(obj, "_mmap", None) is not None and obj.filename is not None


def memory_map_notes(values: Mapping[str, Any]) -> list[str]:
    """Return a line for the inputs whose writes in a pod do not reach their files."""
    names = [name for name, value in values.items() if is_memory_map(value) and value.mode in WRITABLE]
    if not names:
        return []
    files = ", ".join(f"{name} ({os.path.basename(values[name].filename)})" for name in names)
    return [
        f"The pod has a copy of these memory maps of files: {files}. What the cell writes to them does not reach the "
        "files. Bring the values back with -o, or mount a volume that has the files."
    ]
