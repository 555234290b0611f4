"""The page of the primary container's environment."""

from __future__ import annotations

from typing import Any

from ..draft import Draft
from ..field_refs import at
from ..list_editors import Items
from ..page import Page
from .container import columns_of_env, columns_of_env_from, env, env_from


def count(draft: Draft) -> int:
    """Returns how many variables and sources there are."""
    container = draft.container
    return len(at(container, "env").get() or []) + len(at(container, "envFrom").get() or [])


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    container = page.draft.container
    return [
        page.head("Variables", "of the primary container"),
        Items(page, at(container, "env"), "variable", env(page), columns_of_env).box,
        page.head("From whole secrets and config maps", "each key becomes a variable"),
        Items(
            page,
            at(container, "envFrom"),
            "source",
            env_from(page),
            columns_of_env_from,
            new=lambda: {"secretRef": {}},
        ).box,
    ]
