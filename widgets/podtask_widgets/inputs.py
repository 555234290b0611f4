"""Inputs of the form, each bound to a place in the draft."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .converters import Codec
from .field_refs import FieldRef

NOT_HERE = "not for this field: see YAML"
Options = Sequence[tuple[str, Any]]
YES_NO: Options = (("not set", None), ("yes", True), ("no", False))


class Input:
    """What all inputs do: they mark what is wrong, and say it where they are told to.

    Args:
        place: of the value.
        widget: that is typed into.
        after: called when a value was written.
    """

    def __init__(self, place: FieldRef, widget: Any, after: Callable[[], None]) -> None:
        self.place = place
        self.widget = widget
        self.wrong = ""
        self.tell: Callable[[str], None] = lambda text: None
        self._after = after

    def judge(self, text: str) -> None:
        """Shows what is wrong with it; an empty text for nothing."""
        text = self.wrong or text
        (self.widget.add_class if text else self.widget.remove_class)("pt-err")
        self.tell(text)


class Text(Input):
    """An input of text, which a codec reads."""

    def __init__(self, place: FieldRef, widget: Any, codec: Codec, after: Callable[[], None]) -> None:
        super().__init__(place, widget, after)
        self._codec = codec
        value = place.get()
        if value is not None:
            shown = codec.show(value)
            widget.value = shown or ""
            if shown is None:
                widget.disabled = True
                widget.placeholder = NOT_HERE
        widget.observe(self._typed, "value")

    def _typed(self, change: Any) -> None:
        self.wrong = ""
        try:
            self.place.set(self._codec.read(change["new"]))
        except ValueError as error:
            self.wrong = str(error)
        self._after()


class Choice(Input):
    """One of a few values; another one that the draft has is among them too."""

    def __init__(self, place: FieldRef, widget: Any, options: Options, after: Callable[[], None]) -> None:
        super().__init__(place, widget, after)
        value = place.get()
        self._values = [each for _, each in options]
        labels = [label for label, _ in options]
        if not any(value == each and type(value) is type(each) for each in self._values):
            labels.append(str(value))
            self._values.append(value)
        widget.options = list(zip(labels, range(len(labels)), strict=True))
        widget.index = self._values.index(value)
        widget.observe(self._chosen, "index")

    def _chosen(self, change: Any) -> None:
        if change["new"] is not None:
            self.place.set(self._values[change["new"]])
            self._after()
