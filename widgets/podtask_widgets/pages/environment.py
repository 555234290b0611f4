"""The Environment page: environment variables of the primary container."""

from __future__ import annotations

from typing import Any

from ..draft import Draft
from ..field_refs import field_ref
from ..list_editors import ListEditor
from ..page import Page
from .container_fields import ENV_COLUMNS, ENV_FROM_COLUMNS, env_from_widgets, env_widgets


def count(draft: Draft) -> int:
    """Return the number of variables and sources."""
    container = draft.container
    return len(field_ref(container, "env").get() or []) + len(field_ref(container, "envFrom").get() or [])


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    container = page.draft.container
    return [
        page.heading("Variables", "in the primary container"),
        ListEditor(page, field_ref(container, "env"), "variable", env_widgets(page), ENV_COLUMNS).box,
        page.heading("From Secrets and ConfigMaps", "each key becomes a variable"),
        ListEditor(
            page,
            field_ref(container, "envFrom"),
            "source",
            env_from_widgets(page),
            ENV_FROM_COLUMNS,
            new_item=lambda: {"secretRef": {}},
        ).box,
    ]
