"""A user of the form without a browser, who finds inputs and buttons by their labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from podtask_widgets import TemplateBuilder
from podtask_widgets.pages import PAGES

TITLES = [page.title for page in PAGES]


class User:
    """Operate the form of a builder."""

    def __init__(self, builder: TemplateBuilder) -> None:
        self.builder = builder
        self._root = builder.widget

    def open(self, title: str) -> None:
        """Open a page."""
        self._tabs.selected_index = TITLES.index(title)

    def input(self, label: str) -> Any:
        """Return the input with a label on the open page."""
        return self._find(label)

    def write(self, label: str, text: str) -> None:
        """Type into an input."""
        self.input(label).value = text

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a dropdown."""
        widget = self.input(label)
        widget.index = [each for each, _ in widget.options].index(option)

    def click(self, label: str) -> None:
        """Click the first button with this label or tooltip."""
        for each in self.visible():
            is_button = getattr(each, "icon", None) is not None
            if is_button and label in (each.description, each.tooltip):
                each.click()
                return
        raise AssertionError(f"no button {label!r}")

    @property
    def titles(self) -> dict[str, str]:
        """Titles of the tabs with their numbers, by page."""
        return dict(zip(TITLES, self._tabs.titles, strict=True))

    @property
    def opened(self) -> str:
        """Title of the open page."""
        return TITLES[int(self._tabs.selected_index)]

    @property
    def state(self) -> str:
        """Text next to the name: valid, or the first problem."""
        return str(next(each.description for each in self.visible() if "pt-state" in each._dom_classes))

    def html(self, css_class: str) -> str:
        """Return the HTML of the first widget with a CSS class."""
        return str(next(each.value for each in self.visible() if css_class in each._dom_classes))

    def notes(self) -> list[str]:
        """Return the problems that the open page shows, as text."""
        return [
            unescape(re.sub("<.*?>", "", each.value))
            for each in self.visible()
            if {"pt-h", "pt-bad"} <= set(each._dom_classes)
        ]

    @property
    def _tabs(self) -> Any:
        return next(each for each in _within(self._root) if "pt-tabs" in each._dom_classes)

    def visible(self) -> Iterator[Any]:
        """Yield the widgets of the header and of the open page."""
        hidden = {
            id(box) for index, box in enumerate(self._tabs.children) if index != self._tabs.selected_index
        }
        return _within(self._root, hidden)

    def _find(self, label: str) -> Any:
        matches = [each for each in self.visible() if getattr(each, "description", None) == label]
        if len(matches) != 1:
            labels = sorted({each.description for each in self.visible() if hasattr(each, "description")})
            raise AssertionError(f"{len(matches)} inputs are called {label!r}; labels: {labels}")
        return matches[0]


def _within(widget: Any, hidden: set[int] | None = None) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        if id(child) not in (hidden or set()):
            yield from _within(child, hidden)
