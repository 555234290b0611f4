"""Check the frames that a runner sends for the notebook: the pod may send anything. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import TaskError
from ..runner import protocol

NUMBER = (int, float)
# The fields that the notebook reads from the meta of each kind of frame; those in OPTIONAL may be missing.
FIELDS: dict[int, dict[str, Any]] = {
    protocol.STREAM: {"name": str},
    protocol.CLEAR_OUTPUT: {"wait": (bool, int)},
    protocol.INPUT_REQUEST: {"prompt": str, "password": (bool, int)},
    protocol.USAGE: {"cpu": NUMBER, "memory": int, "cpu_limit": NUMBER, "memory_limit": int},
    protocol.GAP: {"from": int, "to": int},
    protocol.NOTE: {"text": str},
    protocol.ITEM_RESULT: {"k": int, "i": int, "seconds": NUMBER, "end": dict},
    protocol.STATE: {
        "step": str,
        "specs": list,
        "pip": list,
        "seconds": NUMBER,
        "filename": str,
        "source": str,
        "notify": bool,
    },
}
OPTIONAL = {"end", "specs", "pip", "seconds", "filename", "source", "notify", "cpu_limit", "memory_limit"}


def check_frame(frame: protocol.Frame) -> None:
    """Check that a frame has the fields that the notebook reads.

    Raises:
        TaskError: A field is missing or has another type.
    """
    meta = frame.meta
    for name, kind in FIELDS.get(frame.kind, {}).items():
        if not _has(meta, name, kind):
            raise TaskError(
                f"The pod sent a frame that podtask cannot read: its {name} is missing or has another type.",
                "Another version of podtask may have started it. Install that version to attach to it.",
            )
    if frame.kind == protocol.STREAM and meta["name"] not in ("stdout", "stderr"):
        raise TaskError("The pod sent output of an unknown stream.", "Run the cell again.")


def _has(meta: Mapping[str, Any], name: str, kind: Any) -> bool:
    """Return whether a field has its type, and a list has texts only; a number is finite."""
    if name not in meta:
        return name in OPTIONAL
    value = meta[name]
    is_list_of_texts = not isinstance(value, list) or all(isinstance(each, str) for each in value)
    return isinstance(value, kind) and is_list_of_texts
