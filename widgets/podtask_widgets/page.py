"""One page of the form: its inputs, and which of them a problem belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import ipywidgets as w
from podtask.errors import Problem

from .converters import TEXT, Codec
from .draft import Draft
from .field_refs import FieldRef
from .inputs import Choice, Input, Options, Text
from .name_suggestions import offer


class SharedStyles:
    """Layouts and styles that all widgets of a form share: what a form costs is its models."""

    def __init__(self) -> None:
        self.plain = w.Layout()
        self.wide = w.Layout(width="100%")
        self.note, self.text, self.choice = w.HTML().style, w.Text().style, w.Dropdown().style
        self.button = w.Button().style
        self._columns: dict[str, Any] = {}

    def columns(self, columns: str) -> Any:
        """Returns the layout of a grid; an empty text for that of anything else."""
        if not columns:
            return self.plain
        made = self._columns.get(columns) or w.Layout(grid_template_columns=columns)
        return self._columns.setdefault(columns, made)


class Page:
    """What a page's parts are made with.

    Args:
        looks: of the form.
        draft: that it shows.
        changed: called after each change by its user.
        replace: called with a template that is to take the draft's place.
    """

    def __init__(
        self,
        looks: SharedStyles,
        draft: Draft,
        changed: Callable[[], None],
        replace: Callable[[Any], None],
    ) -> None:
        self._looks = looks
        self.draft = draft
        self.changed = changed
        self.replace = replace
        self.inputs: list[Input] = []

    # -- inputs ---------------------------------------------------------------------------------

    def text(
        self,
        place: FieldRef,
        label: str,
        codec: Codec = TEXT,
        *,
        hint: str = "",
        kind: str = "",
        offers: Iterable[str] | None = None,
        lines: int = 0,
        after: Callable[[], None] | None = None,
    ) -> Input:
        """Returns an input of text.

        Args:
            place: of its value.
            label: bound to it.
            codec: reads it.
            hint: shown in it while it is empty.
            kind: of the cluster's objects whose names are offered.
            offers: other texts that are offered; those of an empty one may come later.
            lines: shown at once; 0 for an input of one line.
            after: called when it has written, before the page hears of it.
        """
        more = {
            "description": label,
            "placeholder": hint,
            "layout": self._looks.wide,
            "style": self._looks.text,
        }
        widget: Any
        if lines:
            widget = w.Textarea(rows=lines, **more)
        elif kind or offers is not None:
            widget = w.Combobox(options=tuple(offers or ()), ensure_option=False, **more)
        else:
            widget = w.Text(**more)
        if kind:
            offer(kind, widget)
        return self._own(Text(place, widget, codec, self._after(after)))

    def choice(
        self, place: FieldRef, label: str, options: Options, after: Callable[[], None] | None = None
    ) -> Input:
        """Returns an input of one of a few values."""
        widget = w.Dropdown(description=label, layout=self._looks.wide, style=self._looks.choice)
        return self._own(Choice(place, widget, options, self._after(after)))

    def _after(self, after: Callable[[], None] | None) -> Callable[[], None]:
        def both() -> None:
            if after:
                after()
            self.changed()

        return both

    def _own(self, made: Input) -> Input:
        self.inputs.append(made)
        return made

    # -- what they stand in ---------------------------------------------------------------------

    def note(self, text: str = "") -> Any:
        """Returns a line of small text."""
        return styled(self._html(escape(text)), "pt-h")

    def teller(self, box: Any, hint: str = "") -> Callable[[str], None]:
        """Returns what shows a text at the end of a box, or the hint; a line is made when needed."""
        notes: list[Any] = []

        def tell(text: str) -> None:
            if not notes and (text or hint):
                notes.append(self.note())
                box.children += (notes[0],)
            for note in notes:
                (note.add_class if text else note.remove_class)("pt-bad")
                note.value = escape(text or hint)

        tell("")
        return tell

    def field(self, made: Input, hint: str = "", wide: bool = False) -> Any:
        """Returns an input with its label above and a line under it: a hint, or what is wrong."""
        box = self.column([made.widget], "pt-f", *(["pt-wide"] if wide else []))
        made.tell = self.teller(box, hint)
        return box

    def grid(self, *fields: Any) -> Any:
        """Returns fields, two in a line where there is room."""
        return self.box(fields, "pt-grid")

    def column(self, parts: Iterable[Any], *classes: str) -> Any:
        """Returns parts below one another."""
        return styled(w.VBox(list(parts), layout=self._looks.plain), *classes)

    def box(self, parts: Iterable[Any], *classes: str, columns: str = "") -> Any:
        """Returns parts that the style sheet lays out; ``columns``: of CSS, for those of a row."""
        return styled(w.Box(list(parts), layout=self._looks.columns(columns)), *classes)

    def head(self, text: str, small: str = "") -> Any:
        """Returns a heading."""
        more = f"<small>{escape(small)}</small>" if small else ""
        return styled(self._html(f"<div>{escape(text)}{more}</div>"), "pt-sec")

    def button(self, text: str, click: Callable[[], None]) -> Any:
        """Returns a quiet button."""
        return self._button("pt-add", click, description=text)

    def cross(self, label: str, remove: Callable[[], None]) -> Any:
        """Returns a small button that takes an entry away."""
        return self._button("pt-x", remove, description=label, tooltip=label)

    def _button(self, name: str, click: Callable[[], None], **words: str) -> Any:
        made = w.Button(layout=self._looks.plain, style=self._looks.button, **words)
        made.on_click(lambda _: click())
        return styled(made, name)

    def _html(self, value: str) -> Any:
        return w.HTML(value, layout=self._looks.plain, style=self._looks.note)

    # -- what is wrong --------------------------------------------------------------------------

    def judge(self, problems: Iterable[Problem]) -> None:
        """Shows problems at their inputs."""
        found: dict[int, list[str]] = {}
        for problem in problems:
            owner = self.owner(problem.path)
            if owner is not None:
                found.setdefault(id(owner), []).append(f"{problem.message} {problem.hint}".lstrip(": "))
        for each in self.inputs:
            each.judge(found.get(id(each), [""])[0])

    def owner(self, path: str) -> Input | None:
        """Returns the input that a problem belongs to: that of the longest path it begins with."""
        mine = [each for each in self.inputs if _within(path, each.place.path)]
        return max(mine, key=lambda each: len(each.place.path), default=None)

    def forget(self, widget: Any) -> None:
        """Closes a widget and all within it, and knows its inputs no more."""
        for child in getattr(widget, "children", ()):
            self.forget(child)
        self.inputs = [each for each in self.inputs if each.widget is not widget]
        widget.close()


def styled(widget: Any, *classes: str) -> Any:
    """Returns a widget with classes of the style sheet."""
    for name in classes:
        widget.add_class(name)
    return widget


def _within(path: str, place: str) -> bool:
    return path == place or (path.startswith(place) and path[len(place)] in ".[:")
