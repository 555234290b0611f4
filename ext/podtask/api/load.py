"""Load the values that a cell has written to a volume."""

from __future__ import annotations

from typing import Any

from ..errors import TaskError
from ..pickling.outputs import Undecoded, unpack
from ..pickling.plain_values import decode_value
from ..runner.protocol import VALUE_ROLES
from ..runner.results_file import NotResults, read


def load(path: str) -> dict[str, Any]:
    """Return the values that ``--results-in`` has written to a file, by name; that of the last expression is ``_``.

    The function works in cells in pods, too. Loading a file of pickles runs code that whoever wrote the file has chosen.

    Args:
        path: The file, on a volume that is mounted here.

    Raises:
        TaskError: The file was not written by ``--results-in``, or a value cannot be unpickled here.
        OSError: It cannot be read.
    """
    try:
        head, parts = read(path)
    except NotResults as error:
        raise TaskError(str(error), "Name the file that --results-in named.") from None
    packed = head["packed"]
    values = _plain_values(packed, b"".join(parts)) if head["plain"] else unpack(parts, packed)
    found = {
        item["name"] or "_": value
        for item, value in zip(packed, values, strict=True)
        if item["role"] in VALUE_ROLES
    }
    for name, value in found.items():
        if isinstance(value, Undecoded):
            raise TaskError(
                f"{name} in {path} cannot be unpickled here: {type(value.error).__name__}: {value.error}",
                "Install what it needs, or load it in a cell with the image that wrote it.",
            )
    return found


def _plain_values(packed: list[dict[str, Any]], data: bytes) -> list[Any]:
    ends = [int(item["stream"]) for item in packed]
    starts = [0, *ends[:-1]]
    return [
        decode_value(data[start:end], item) if item["role"] in VALUE_ROLES else None
        for item, start, end in zip(packed, starts, ends, strict=True)
    ]


load.__module__ = "podtask"  # both sides find the function there, as wait_for
