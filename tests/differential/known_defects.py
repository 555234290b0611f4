"""Cells that do not yet behave as in the kernel: each is a strict xfail, with its reason."""

from __future__ import annotations

# id of the cell -> (where: "local", "pod", "both", an image, or pods of "another" Python; the reason)
DEFECTS: dict[str, tuple[str, str]] = {
    "definitions-B1-enum-whose-members-refer-to-each-other": (
        "another",
        "definitions are sent as source, without attributes that are set on members later",
    ),
    "state-C5-methods-of-a-class-replaced-by-a-decorator-and-partialmethod": (
        "another",
        "definitions are sent as source, without what a decorator that is called later makes of them",
    ),
    "state-H-semaphore-made-in-the-notebook": (
        "another",
        "queues and locks of asyncio have the attributes of the notebook's Python, which others lack",
    ),
}
