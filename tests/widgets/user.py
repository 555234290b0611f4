"""A user of the form, without a browser: finds inputs by their labels and buttons by their words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from podtask_widgets import TemplateBuilder
from podtask_widgets.pages import PARTS

TITLES = [part.title for part in PARTS]


class User:
    """Works on the form of a builder."""

    def __init__(self, builder: TemplateBuilder) -> None:
        self.builder = builder
        self._root = builder.widget

    def open(self, title: str) -> None:
        """Opens a page."""
        self._tabs.selected_index = TITLES.index(title)

    def input(self, label: str) -> Any:
        """Returns the input with a label, of the page that is open."""
        return self._one("description", label)

    def write(self, label: str, text: str) -> None:
        """Types into an input."""
        self.input(label).value = text

    def choose(self, label: str, option: str) -> None:
        """Chooses one of an input's options."""
        widget = self.input(label)
        widget.index = [each for each, _ in widget.options].index(option)

    def click(self, words: str) -> None:
        """Clicks the first button with these words, or this tooltip."""
        for each in self._visible():
            said = getattr(each, "icon", None) is not None
            if said and words in (each.description, each.tooltip):
                each.click()
                return
        raise AssertionError(f"no button {words!r}")

    @property
    def titles(self) -> dict[str, str]:
        """What the tabs say, by the page."""
        return dict(zip(TITLES, self._tabs.titles, strict=True))

    @property
    def opened(self) -> str:
        """The page that is open."""
        return TITLES[int(self._tabs.selected_index)]

    @property
    def state(self) -> str:
        """What stands beside the name."""
        return str(next(each.description for each in self._visible() if "pt-state" in each._dom_classes))

    def html(self, name: str) -> str:
        """Returns the HTML of the first widget with a class."""
        return str(next(each.value for each in self._visible() if name in each._dom_classes))

    def notes(self) -> list[str]:
        """Returns what is said to be wrong on the page that is open."""
        return [
            each.value
            for each in self._visible()
            if {"pt-h", "pt-bad"} <= set(each._dom_classes) and each.value
        ]

    @property
    def _tabs(self) -> Any:
        return next(each for each in _within(self._root) if "pt-tabs" in each._dom_classes)

    def _visible(self) -> Iterator[Any]:
        hidden = {
            id(box) for place, box in enumerate(self._tabs.children) if place != self._tabs.selected_index
        }
        return _within(self._root, hidden)

    def _one(self, name: str, value: str) -> Any:
        found = [each for each in self._visible() if getattr(each, name, None) == value]
        if len(found) != 1:
            there = sorted({each.description for each in self._visible() if hasattr(each, "description")})
            raise AssertionError(f"{len(found)} of {value!r}; there: {there}")
        return found[0]


def _within(widget: Any, hidden: set[int] | None = None) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        if id(child) not in (hidden or set()):
            yield from _within(child, hidden)
