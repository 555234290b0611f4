"""Inputs of the form, each bound to a field of the draft."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .converters import Converter
from .field_refs import FieldRef

EDIT_IN_YAML = "edit this field in YAML"
Options = Sequence[tuple[str, Any]]
ShowMessage = Callable[[str, str, bool], None]
"""Show a text with a tooltip below an input; the last argument is whether it is only a warning."""
YES_NO: Options = (("not set", None), ("yes", True), ("no", False))


class Input:
    """Base class of all inputs.

    Args:
        ref: The field that the input edits.
        widget: The widget that the user types into.
        on_change: Called after the field was set.
    """

    def __init__(self, ref: FieldRef, widget: Any, on_change: Callable[[], None]) -> None:
        self.ref = ref
        self.widget = widget
        self.label = ""  # with the card that the input is in
        self.error = ""  # why the text cannot be read; empty if it can
        self.warning = ""  # shown while nothing is wrong
        self.show_message: ShowMessage = lambda text, tooltip, is_warning: None
        self._problem = "", ""
        self._on_change = on_change

    def show_problem(self, text: str, path: str) -> None:
        """Mark the input as wrong and show why; an empty text clears the mark.

        Args:
            text: What is wrong.
            path: Path of the wrong field, for a tooltip.
        """
        self._problem = text, path
        text = self.error or text
        (self.widget.add_class if text else self.widget.remove_class)("pt-err")
        self.show_message(text or self.warning, path if text else "", not text)

    def show_warning(self, text: str) -> None:
        """Show a text while nothing is wrong; an empty text shows none."""
        if text != self.warning:
            self.warning = text
            self.show_problem(*self._problem)


class TextInput(Input):
    """An input for text, which a converter turns into the field's value."""

    def __init__(
        self, ref: FieldRef, widget: Any, converter: Converter, on_change: Callable[[], None]
    ) -> None:
        super().__init__(ref, widget, on_change)
        self._converter = converter
        value = ref.get()
        if value is not None:
            text = converter.to_text(value)
            widget.value = text or ""
            if text is None:
                widget.disabled = True
                widget.placeholder = EDIT_IN_YAML
        widget.observe(self._text_changed, "value")

    def _text_changed(self, change: Any) -> None:
        self.error = ""
        try:
            self.ref.set(self._converter.from_text(change["new"]))
        except ValueError as error:
            self.error = str(error)
        self._on_change()


class Dropdown(Input):
    """A dropdown that offers fixed values, and also the current value if it is a different one."""

    def __init__(self, ref: FieldRef, widget: Any, options: Options, on_change: Callable[[], None]) -> None:
        super().__init__(ref, widget, on_change)
        self._values: list[Any] = []
        self._fill(options)
        widget.observe(self._option_chosen, "index")

    def set_options(self, options: Options) -> None:
        """Offer other values; the field stays as it is."""
        self.widget.unobserve(self._option_chosen, "index")
        self._fill(options)
        self.widget.observe(self._option_chosen, "index")

    def _fill(self, options: Options) -> None:
        value = self.ref.get()
        self._values = [each for _, each in options]
        labels = [label for label, _ in options]
        if not any(value == each and type(value) is type(each) for each in self._values):
            labels.append(str(value))
            self._values.append(value)
        self.widget.options = list(zip(labels, range(len(labels)), strict=True))
        self.widget.index = self._values.index(value)

    def _option_chosen(self, change: Any) -> None:
        if change["new"] is not None:
            self.ref.set(self._values[change["new"]])
            self._on_change()
