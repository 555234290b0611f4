"""The page of labels and annotations."""

from __future__ import annotations

from typing import Any

from ..draft import Draft
from ..field_refs import at
from ..list_editors import Pairs
from ..page import Page


def count(draft: Draft) -> int:
    """Returns how many labels and annotations there are."""
    return sum(len(part or {}) for part in draft.whole["metadata"].values())


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    metadata = page.draft.metadata
    return [
        page.head("Labels", "find, group and bill pods"),
        Pairs(page, at(metadata, "labels"), "label").box,
        page.head("Annotations", "for controllers and tools"),
        Pairs(page, at(metadata, "annotations"), "annotation").box,
    ]
