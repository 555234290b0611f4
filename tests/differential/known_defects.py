"""Cells that do not yet behave as in the kernel: each is a strict xfail, with its reason."""

from __future__ import annotations

# id of the cell -> (where: "local", "pod", "both", an image, or pods of "another" Python; the reason)
DEFECTS: dict[str, tuple[str, str]] = {
    "definitions-A2-registries-of-a-metaclass-and-of-a-decorator": (
        "another",
        "a registry comes after the functions in it, whose decorator needs it already",
    ),
    "definitions-B4-dispatch-caches-and-weak-references": (
        "another",
        "a function of functools.singledispatch is sent as source, without what was registered with it",
    ),
}
