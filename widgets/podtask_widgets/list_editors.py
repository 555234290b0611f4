"""Editors for lists and mappings, whose entries can be added, changed and removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as w

from .converters import TEXT_OR_EMPTY
from .field_refs import FieldRef, Item
from .inputs import ShowMessage
from .page import Page

GENERATED_CLASS = "pt-generated"  # of an input whose text is selected when it gets the focus


@dataclass(frozen=True)
class Entry:
    """One item of a list, as the page shows it.

    Args:
        ref: Reference to the item.
        number: Number of the entry in labels, from 1.
        save: Puts the item into the list; called after each change of the item.
        remove: Removes the entry.
    """

    ref: Item
    number: int
    save: Callable[[], None]
    remove: Callable[[], None]


MakeWidgets = Callable[[Entry], list[Any]]


class ListEditor:
    """An editor for a list of mappings. A new, empty mapping is not part of the list until a key is set.

    Args:
        page: Page of the editor.
        items: Reference to the list.
        noun: Word for an entry in labels, such as ``variable``.
        make_widgets: Returns the widgets of an entry.
        columns: CSS grid columns of an entry; if empty, an entry is laid out as a card.
        new_item: Returns the item of a new entry.
        includes: Returns whether an item is edited here; other items are kept.
    """

    def __init__(
        self,
        page: Page,
        items: FieldRef,
        noun: str,
        make_widgets: MakeWidgets,
        columns: str = "",
        new_item: Callable[[], dict[str, Any]] = dict,
        includes: Callable[[dict[str, Any]], bool] = lambda item: True,
    ) -> None:
        self._page, self._ref, self._noun = page, items, noun
        self._make_widgets, self._columns, self._new_item = make_widgets, columns, new_item
        self._count, self._context = 0, page.context
        self._rows = page.column([], "pt-rows")
        self._rows.children = tuple(self._make_entry(item) for item in self._items() if includes(item))
        self._add_button = page.button(f"Add {noun}", self._add)
        self.box = page.column([self._rows, self._add_button], "pt-items")

    def add_row(self) -> dict[str, Any]:
        """Show a new entry, which is part of the list when a key of it is set, and return its item."""
        item = self._new_item()
        self._rows.children += (self._make_entry(item),)
        return item

    def _add(self) -> None:
        self._save(self.add_row())
        self._page.on_change()
        focus(self._rows.children[-1], replace=True)

    def _make_entry(self, item: dict[str, Any]) -> Any:
        self._count += 1
        columns = f"{self._columns} 28px" if self._columns else ""
        box = self._page.box([], "pt-row" if columns else "pt-card", columns=columns)

        def remove() -> None:
            self._rows.children = tuple(each for each in self._rows.children if each is not box)
            self._page.close(box)
            item.clear()
            self._save(item)
            self._page.on_change()
            focus(self._add_button)

        entry = Entry(Item(self._ref, item), self._count, lambda: self._save(item), remove)
        card = f"{self._noun[0].upper()}{self._noun[1:]} {entry.number}"
        with self._page.within(self._context if columns else card):
            widgets = self._make_widgets(entry)
        if columns:
            widgets = [*widgets, self._page.remove_button(f"Remove {self._noun} {entry.number}", remove)]
        box.children = widgets
        if columns:
            share_message_line(self._page, box)
        return box

    def _save(self, item: dict[str, Any]) -> None:
        """Add an item to the list, or remove it if it is empty."""
        value = self._ref.get()
        others = [each for each in (value if isinstance(value, list) else []) if each is not item]
        if len(others) == len(value or []) and item:
            self._ref.set([*others, item])
        elif not item:
            self._ref.set(others or None)

    def _items(self) -> list[dict[str, Any]]:
        value = self._ref.get()
        return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


class MappingEditor:
    """An editor for a mapping of keys to texts.

    Args:
        page: Page of the editor.
        ref: Reference to the mapping.
        noun: Word for an entry in labels, such as ``label``.
        placeholders: Texts that are shown in an empty key and in an empty value.
        includes: Returns whether a key is edited here; other keys are kept.
        suggestions: Keys to suggest.
        on_remove: Called with the key of an entry after the entry was removed.
    """

    def __init__(
        self,
        page: Page,
        ref: FieldRef,
        noun: str,
        placeholders: tuple[str, str] = ("key", "value"),
        includes: Callable[[str], bool] = lambda key: True,
        suggestions: tuple[str, ...] | None = None,
        on_remove: Callable[[str], None] = lambda key: None,
    ) -> None:
        self._page, self._ref, self._noun, self._on_remove = page, ref, noun, on_remove
        self._placeholders, self._includes, self._suggestions = placeholders, includes, suggestions
        self._context = page.context
        self._pairs = [Pair(ref, key, value) for key, value in self._mapping().items() if includes(key)]
        self._rows = page.column([], "pt-rows")
        self._rows.children = tuple(self._make_row(n, pair) for n, pair in enumerate(self._pairs, 1))
        self._add_button = page.button(f"Add {noun}", self._add)
        self.box = page.column([self._rows, self._add_button], "pt-items")

    def _add(self) -> None:
        self._pairs.append(Pair(self._ref, "", ""))
        self._rows.children += (self._make_row(len(self._pairs), self._pairs[-1]),)
        focus(self._rows.children[-1])

    def _make_row(self, number: int, pair: Pair) -> Any:
        box = self._page.box([], "pt-row", columns="minmax(0,1.2fr) minmax(0,1fr) 28px")

        def remove() -> None:
            self._pairs = [each for each in self._pairs if each is not pair]
            self._rows.children = tuple(each for each in self._rows.children if each is not box)
            self._page.close(box)
            self._save()
            self._on_remove(pair.key)
            self._page.on_change()
            focus(self._add_button)

        key_placeholder, value_placeholder = self._placeholders
        with self._page.within(self._context):
            key_input = self._page.text_input(
                PairField(pair, "key"),
                f"{self._noun} {number}, {key_placeholder}",
                TEXT_OR_EMPTY,
                placeholder=key_placeholder,
                suggestions=self._suggestions,
                on_change=self._save,
            )
            value_input = self._page.text_input(
                PairField(pair, "value"),
                f"{self._noun} {number}, {value_placeholder}",
                TEXT_OR_EMPTY,
                placeholder=value_placeholder,
                on_change=self._save,
            )
        pair.set_key_error = lambda error: setattr(key_input, "error", error)
        box.children = [
            key_input.widget,
            value_input.widget,
            self._page.remove_button(f"Remove {self._noun} {number}", remove),
        ]
        share_message_line(self._page, box)
        return box

    def _save(self) -> None:
        others = {key: value for key, value in self._mapping().items() if not self._includes(key)}
        mapping: dict[str, Any] = {}
        for pair in self._pairs:
            pair.set_key_error(f"Duplicate key {pair.key!r}." if pair.key and pair.key in mapping else "")
            if pair.key:
                mapping.setdefault(pair.key, pair.value)
        self._ref.set({**others, **mapping} or None)

    def _mapping(self) -> dict[str, Any]:
        value = self._ref.get()
        return value if isinstance(value, dict) else {}


class Pair:
    """A key and its value, as the user typed them."""

    def __init__(self, mapping: FieldRef, key: str, value: Any) -> None:
        self.mapping, self.key, self.value = mapping, key, value
        self.set_key_error: Callable[[str], None] = lambda error: None


class PairField:
    """A reference to a pair's key or to its value; ``part`` is "key" or "value"."""

    def __init__(self, pair: Pair, part: str) -> None:
        self._pair, self._part = pair, part

    @property
    def path(self) -> str:
        """Path of the value, or the mapping's path and the key."""
        parent, key = self._pair.mapping.path, self._pair.key
        return f"{parent}.{key}" if self._part == "value" else f"{parent}: {key!r}"

    def get(self) -> Any:
        """Return the key or the value."""
        return getattr(self._pair, self._part)

    def set(self, value: Any) -> None:
        """Set the key or the value; the editor saves the mapping."""
        setattr(self._pair, self._part, value)


def share_message_line(page: Page, row: Any) -> None:
    """Show the first problem of the inputs in a row in one line below the row."""
    inputs = [each for each in page.inputs if any(each.widget is child for child in row.children)]
    messages: dict[int, tuple[str, str, bool]] = {}
    show_in_row = page.message_line(row)

    def show_message_of(number: int) -> ShowMessage:
        def show_message(text: str, tooltip: str, is_warning: bool) -> None:
            messages[number] = text, tooltip, is_warning
            texts = sorted((each for each in messages.values() if each[0]), key=lambda each: each[2])
            show_in_row(*(texts[0] if texts else ("", "", False)))

        return show_message

    for number, each in enumerate(inputs):
        each.show_message = show_message_of(number)


def focus(widget: Any, replace: bool = False) -> None:
    """Move the focus to a widget, or to the first input inside it.

    Args:
        widget: The widget.
        replace: Select the text of the input, such as a generated name: what the user types replaces it.
    """
    while getattr(widget, "children", ()):
        widget = widget.children[0]
    if replace and isinstance(widget, w.Text) and widget.value:
        widget.add_class(GENERATED_CLASS)
        widget.observe(lambda _: widget.remove_class(GENERATED_CLASS), "value")
    widget.focus()
