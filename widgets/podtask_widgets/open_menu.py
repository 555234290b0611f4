"""The Open menu of the form: examples to start from, and saved templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as w

from .list_editors import focus
from .page import styled


class OpenMenu:
    """A button, and below it a menu that is open until an entry or the button is clicked.

    Args:
        entries: Returns the headings of the menu, each with its entries: a label, and what a click calls.
    """

    def __init__(self, entries: Callable[[], Iterable[tuple[str, dict[str, Callable[[], None]]]]]) -> None:
        self._entries = entries
        self._button = styled(
            w.Button(description="Open", tooltip="Open a saved template, or start from an example"), "pt-do"
        )
        self._button.add_class("pt-drop")
        self._button.on_click(lambda _: self._toggle())
        self._menu = styled(w.VBox(), "pt-open-menu", "pt-hidden")
        self.widget = styled(w.Box([self._button, self._menu]), "pt-open")

    def _toggle(self) -> None:
        if self._menu.children:
            self._close()
            focus(self._button)
            return
        rows: list[Any] = []
        for heading, entries in self._entries():
            rows.append(styled(w.HTML(heading), "pt-open-heading"))
            rows += [self._entry(label, on_click) for label, on_click in entries.items()]
        self._menu.children = rows
        self._menu.remove_class("pt-hidden")
        focus(next(each for each in rows if isinstance(each, w.Button)))

    def _close(self) -> None:
        for each in self._menu.children:
            each.close()
        self._menu.children = ()
        self._menu.add_class("pt-hidden")

    def _entry(self, label: str, on_click: Callable[[], None]) -> Any:
        def click(_: Any) -> None:
            self._close()
            focus(self._button)
            on_click()

        button = styled(w.Button(description=label), "pt-open-entry")
        button.on_click(click)
        return button
