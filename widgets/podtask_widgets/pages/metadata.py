"""The Metadata page: labels and annotations of the pod."""

from __future__ import annotations

from typing import Any

from ..draft import Draft
from ..field_refs import field_ref
from ..list_editors import MappingEditor
from ..page import Page


def count(draft: Draft) -> int:
    """Return the number of labels and annotations."""
    return sum(len(mapping or {}) for mapping in draft.data["metadata"].values())


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    metadata = page.draft.metadata
    return [
        page.heading("Labels", "to select and group pods"),
        MappingEditor(page, field_ref(metadata, "labels"), "label").box,
        page.heading("Annotations", "for controllers and tools"),
        MappingEditor(page, field_ref(metadata, "annotations"), "annotation").box,
    ]
