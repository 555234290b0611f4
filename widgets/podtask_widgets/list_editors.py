"""Editors of lists and mappings: entries to add, change and remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .converters import EXACT
from .field_refs import FieldRef, Item
from .page import Page

Make = Callable[["Entry"], list[Any]]


@dataclass(frozen=True)
class Entry:
    """One item of a list on the page.

    Args:
        place: of the item.
        number: of the entry, from 1, for labels.
        write: puts the item into the list; called after each change of it.
        remove: takes the entry away.
    """

    place: Item
    number: int
    write: Callable[[], None]
    remove: Callable[[], None]


class Items:
    """Edits a list of mappings; an empty mapping is one that is not filled in yet.

    Args:
        page: it is on.
        items: the list's place.
        noun: of one, ``variable``.
        make: the widgets of an entry.
        columns: of CSS, for the entry's grid; empty for a card.
        new: what a new entry begins with.
        only: which items are its own.
    """

    def __init__(
        self,
        page: Page,
        items: FieldRef,
        noun: str,
        make: Make,
        columns: str = "",
        new: Callable[[], dict[str, Any]] = dict,
        only: Callable[[dict[str, Any]], bool] = lambda item: True,
    ) -> None:
        self._page, self._place, self._noun = page, items, noun
        self._make, self._columns, self._new = make, columns, new
        self._count = 0
        self._rows = page.column([], "pt-rows")
        self._rows.children = tuple(self._entry(item) for item in self._listed() if only(item))
        self.add_button = page.button(f"Add {noun}", self.add)
        self.box = page.column([self._rows, self.add_button], "pt-items")

    def add(self) -> None:
        """Adds an entry, and puts the cursor into it."""
        item = self._new()
        self._rows.children += (self._entry(item),)
        self._write(item)
        self._page.changed()
        focus(self._rows.children[-1])

    def _entry(self, item: dict[str, Any]) -> Any:
        self._count += 1
        columns = f"{self._columns} 28px" if self._columns else ""
        box = self._page.box([], "pt-row" if columns else "pt-card", columns=columns)

        def remove() -> None:
            self._rows.children = tuple(each for each in self._rows.children if each is not box)
            self._page.forget(box)
            item.clear()
            self._write(item)
            self._page.changed()
            focus(self.add_button)

        entry = Entry(Item(self._place, item), self._count, lambda: self._write(item), remove)
        cells = self._make(entry)
        if columns:
            cells = [*cells, self._page.cross(f"Remove {self._noun} {entry.number}", remove)]
        box.children = cells
        if columns:
            share(self._page, box)
        return box

    def _write(self, item: dict[str, Any]) -> None:
        """Puts an item into the list, or takes it out when nothing is left of it."""
        given = self._place.get()
        others = [each for each in (given if isinstance(given, list) else []) if each is not item]
        if len(others) == len(given or []) and item:
            self._place.set([*others, item])
        elif not item:
            self._place.set(others or None)

    def _listed(self) -> list[dict[str, Any]]:
        given = self._place.get()
        return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


class Pairs:
    """Edits a mapping of names to texts.

    Args:
        page: it is on.
        place: of the mapping.
        noun: of one, ``label``.
        hints: shown in an empty name and an empty value.
        only: which names are its own; the others stay as they are.
        offers: names that are offered.
    """

    def __init__(
        self,
        page: Page,
        place: FieldRef,
        noun: str,
        hints: tuple[str, str] = ("key", "value"),
        only: Callable[[str], bool] = lambda name: True,
        offers: tuple[str, ...] | None = None,
    ) -> None:
        self._page, self._place, self._noun = page, place, noun
        self._hints, self._only, self._offers = hints, only, offers
        given = place.get()
        mapping = given if isinstance(given, dict) else {}
        self._pairs = [Pair(place, key, value) for key, value in mapping.items() if only(key)]
        self._rows = page.column([], "pt-rows")
        self._rows.children = tuple(self._row(n, pair) for n, pair in enumerate(self._pairs, 1))
        self.add_button = page.button(f"Add {noun}", self.add)
        self.box = page.column([self._rows, self.add_button], "pt-items")

    def add(self) -> None:
        """Adds a pair, and puts the cursor into it."""
        self._pairs.append(Pair(self._place, "", ""))
        self._rows.children += (self._row(len(self._pairs), self._pairs[-1]),)
        focus(self._rows.children[-1])

    def _row(self, number: int, pair: Pair) -> Any:
        box = self._page.box([], "pt-row", columns="minmax(0,1.2fr) minmax(0,1fr) 28px")

        def remove() -> None:
            self._pairs = [each for each in self._pairs if each is not pair]
            self._rows.children = tuple(each for each in self._rows.children if each is not box)
            self._page.forget(box)
            self._write()
            self._page.changed()
            focus(self.add_button)

        name, value = self._hints
        key = self._page.text(
            PairField(pair, "key"),
            f"{self._noun} {number}, {name}",
            EXACT,
            hint=name,
            offers=self._offers,
            after=self._write,
        )
        text = self._page.text(
            PairField(pair, "value"), f"{self._noun} {number}, {value}", EXACT, hint=value, after=self._write
        )
        pair.twice = lambda wrong: setattr(key, "wrong", wrong)
        box.children = [
            key.widget,
            text.widget,
            self._page.cross(f"Remove {self._noun} {number}", remove),
        ]
        share(self._page, box)
        return box

    def _write(self) -> None:
        given = self._place.get()
        rest = {
            key: value
            for key, value in (given if isinstance(given, dict) else {}).items()
            if not self._only(key)
        }
        made: dict[str, Any] = {}
        for pair in self._pairs:
            pair.twice(f"{pair.key!r} is there twice." if pair.key and pair.key in made else "")
            if pair.key:
                made.setdefault(pair.key, pair.value)
        self._place.set({**rest, **made} or None)


class Pair:
    """A name and its value."""

    def __init__(self, place: FieldRef, key: str, value: Any) -> None:
        self.place, self.key, self.value = place, key, value
        self.twice: Callable[[str], None] = lambda wrong: None


class PairField:
    """The place of a pair's name, or of its value."""

    def __init__(self, pair: Pair, part: str) -> None:
        self._pair, self._part = pair, part

    @property
    def path(self) -> str:
        """As problems name it."""
        where, key = self._pair.place.path, self._pair.key
        return f"{where}.{key}" if self._part == "value" else f"{where}: {key!r}"

    def get(self) -> Any:
        """Returns it."""
        return getattr(self._pair, self._part)

    def set(self, value: Any) -> None:
        """Changes it; the mapping is written by its editor."""
        setattr(self._pair, self._part, value)


def share(page: Page, row: Any) -> None:
    """Lets the inputs of a row say what is wrong with them in one line under it."""
    mine = [each for each in page.inputs if any(each.widget is cell for cell in row.children)]
    said: dict[int, str] = {}
    show = page.teller(row)

    def teller(place: int) -> Callable[[str], None]:
        def tell(text: str) -> None:
            said[place] = text
            show(next((each for each in said.values() if each), ""))

        return tell

    for place, each in enumerate(mine):
        each.tell = teller(place)


def focus(widget: Any) -> None:
    """Puts the cursor into a widget, or into the first input within it."""
    while getattr(widget, "children", ()):
        widget = widget.children[0]
    widget.focus()
