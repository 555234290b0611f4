"""One page of the form: its inputs, and which of them a problem belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import ipywidgets as w
from podtask.errors import Problem

from .codecs import TEXT, Codec
from .draft import Draft
from .inputs import Choice, Input, Options, Text
from .names import offer
from .places import Place


class Page:
    """What a page's parts are made with.

    Args:
        draft: that it shows.
        changed: called after each change by its user.
        replace: called with a template that is to take the draft's place.
    """

    def __init__(
        self, draft: Draft, changed: Callable[[], None], replace: Callable[[Any], None]
    ) -> None:
        self.draft = draft
        self.changed = changed
        self.replace = replace
        self.inputs: list[Input] = []
        self._wide = w.Layout(width="100%")  # one model for all: what a page costs is its models
        self._plain = w.Layout()
        self._note = w.HTML().style

    # -- inputs ---------------------------------------------------------------------------------

    def text(
        self, place: Place, label: str, codec: Codec = TEXT, *, hint: str = "", kind: str = "",
        offers: Iterable[str] = (), lines: int = 0, after: Callable[[], None] | None = None,
    ) -> Input:  # fmt: skip
        """Returns an input of text.

        Args:
            place: of its value.
            label: bound to it.
            codec: reads it.
            hint: shown in it while it is empty.
            kind: of the cluster's objects whose names are offered.
            offers: other texts that are offered.
            lines: shown at once; 0 for an input of one line.
            after: called when it has written, before the page hears of it.
        """
        more = {"description": label, "placeholder": hint, "layout": self._wide}
        widget: Any
        if lines:
            widget = w.Textarea(rows=lines, **more)
        elif kind or offers:
            widget = w.Combobox(options=tuple(offers), ensure_option=False, **more)
        else:
            widget = w.Text(**more)
        if kind:
            offer(kind, widget)
        return self._own(Text(place, widget, codec, self._after(after)))

    def choice(
        self, place: Place, label: str, options: Options, after: Callable[[], None] | None = None
    ) -> Input:
        """Returns an input of one of a few values."""
        widget = w.Dropdown(description=label, layout=self._wide)
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
        return styled(w.HTML(escape(text), layout=self._plain, style=self._note), "pt-h")

    def field(self, made: Input, hint: str = "", wide: bool = False) -> Any:
        """Returns an input with its label above and a line under it: a hint, or what is wrong."""
        note = self.note(hint)

        def tell(text: str) -> None:
            (note.add_class if text else note.remove_class)("pt-bad")
            note.value = escape(text or hint)

        made.tell = tell
        return styled(w.VBox([made.widget, note], layout=self._plain),
                      "pt-f", *(["pt-wide"] if wide else []))  # fmt: skip

    def grid(self, *fields: Any) -> Any:
        """Returns fields, two in a line where there is room."""
        return styled(w.Box(list(fields), layout=self._plain), "pt-grid")

    def head(self, text: str, small: str = "") -> Any:
        """Returns a heading."""
        more = f"<small>{escape(small)}</small>" if small else ""
        made = w.HTML(f"<div>{escape(text)}{more}</div>", layout=self._plain, style=self._note)
        return styled(made, "pt-sec")

    def button(self, text: str, click: Callable[[], None]) -> Any:
        """Returns a quiet button."""
        made = styled(w.Button(description=text), "pt-add")
        made.on_click(lambda _: click())
        return made

    # -- what is wrong --------------------------------------------------------------------------

    def judge(self, problems: Iterable[Problem]) -> None:
        """Shows problems at their inputs."""
        found: dict[int, list[str]] = {}
        for problem in problems:
            owner = self.owner(problem.path)
            if owner is not None:
                found.setdefault(id(owner), []).append(f"{problem.what} {problem.do}".lstrip(": "))
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
