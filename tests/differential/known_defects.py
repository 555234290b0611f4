"""Cells that do not yet behave as in the kernel: each is a strict xfail, with its reason."""

from __future__ import annotations

# id of the cell -> (where: "local", "pod", "both", an image, or pods of "another" Python; the reason)
DEFECTS: dict[str, tuple[str, str]] = {}
