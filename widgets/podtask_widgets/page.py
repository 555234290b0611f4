"""One page of the form: creates inputs and their layout, and assigns problems to inputs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Any

import ipywidgets as w
from podtask.errors import InputError

from .converters import TEXT, Converter
from .draft import Draft
from .field_refs import FieldRef
from .inputs import Dropdown, Input, Options, ShowMessage, TextInput
from .name_suggestions import suggest_names
from .shortcuts import Shortcut


class SharedStyles:
    """Layouts and styles that all widgets of a form share, because each widget model costs time."""

    def __init__(self) -> None:
        self.default_layout = w.Layout()
        self.full_width = w.Layout(width="100%")
        self.html, self.text, self.dropdown = w.HTML().style, w.Text().style, w.Dropdown().style
        self.button = w.Button().style
        self._grid_layouts: dict[str, Any] = {}

    def grid_layout(self, columns: str) -> Any:
        """Return the layout for CSS grid columns; the default layout if there are none."""
        if not columns:
            return self.default_layout
        layout = self._grid_layouts.get(columns) or w.Layout(grid_template_columns=columns)
        return self._grid_layouts.setdefault(columns, layout)


class Page:
    """One page of the form; creates the widgets of the page.

    Args:
        styles: Styles of the form.
        draft: Draft that the page edits.
        on_change: Called after each change by the user.
        rebuild: Called when the draft has changed in a way that other inputs have to show; the argument is the
            name of the widget that has the focus then, or "".
        show_error: Called with an error of a request in the background, in another thread.
    """

    def __init__(
        self,
        styles: SharedStyles,
        draft: Draft,
        on_change: Callable[[], None],
        rebuild: Callable[[str], None],
        show_error: Callable[[str], None],
    ) -> None:
        self._styles = styles
        self.draft = draft
        self.on_change = on_change
        self.rebuild = rebuild
        self._show_error = show_error
        self.inputs: list[Input] = []
        self.change_source: object = None  # the input that changes the draft while on_change is called
        self.context = ""  # of the inputs that are created: the card that they belong to
        self._object_kinds: dict[Any, str] = {}  # by the combobox
        self.focus_targets: dict[str, Any] = {}
        self._shortcut_buttons: list[tuple[Shortcut, Any]] = []

    # -- inputs ---------------------------------------------------------------------------------

    def text_input(
        self,
        ref: FieldRef,
        label: str,
        converter: Converter = TEXT,
        *,
        placeholder: str = "",
        kind: str = "",
        suggestions: Iterable[str] | None = None,
        rows: int = 0,
        on_change: Callable[[], None] | None = None,
    ) -> Input:
        """Create an input for text.

        Args:
            ref: The field to edit.
            label: Label of the input.
            converter: Converts the text to the field's value.
            placeholder: Text that is shown while the input is empty.
            kind: Kind of cluster object whose names are suggested.
            suggestions: Texts to suggest; pass an empty list if they are set later.
            rows: Number of visible rows; 0 for a single-line input.
            on_change: Called after the field was set, before the page's own ``on_change``.
        """
        options = {
            "description": label,
            "placeholder": placeholder,
            "layout": self._styles.full_width,
            "style": self._styles.text,
            "tooltip": kubernetes_name(ref.path),
        }
        widget: Any
        if rows:
            widget = w.Textarea(rows=rows, **options)
        elif kind or suggestions is not None:
            widget = w.Combobox(options=tuple(suggestions or ()), ensure_option=False, **options)
        else:
            widget = w.Text(**options)
        if kind:
            self.suggest_names(kind, widget)
        created = TextInput(ref, widget, converter, self._then_notify(on_change))
        self._add_input(created, label)
        return created

    def suggest_names(self, kind: str, combobox: Any, is_current: Callable[[], bool] = lambda: True) -> None:
        """Suggest the names of all objects of a kind in a combobox, and warn of others; see :func:`suggest_names`."""
        if combobox not in self._object_kinds:
            combobox.observe(lambda _: self._warn_of_unknown_names(), "options")
        self._object_kinds[combobox] = kind
        suggest_names(kind, combobox, self._show_error, is_current)

    def _warn_of_unknown_names(self) -> None:
        """Warn of names that the cluster does not have; the template's own namespace may have others."""
        for each in self.inputs:
            kind, known = self._object_kinds.get(each.widget, ""), getattr(each.widget, "options", ())
            is_unknown = kind and known and each.widget.value and each.widget.value not in known
            each.show_warning(
                f"No {kind} {each.widget.value!r} was found in the cluster."
                if is_unknown and self.draft.namespace is None
                else ""
            )

    def dropdown(
        self, ref: FieldRef, label: str, options: Options, on_change: Callable[[], None] | None = None
    ) -> Dropdown:
        """Create a dropdown.

        Args:
            ref: The field to edit.
            label: Label of the dropdown.
            options: Pairs of a label and a value.
            on_change: Called after the field was set, before the page's own ``on_change``.
        """
        widget = w.Dropdown(
            description=label,
            layout=self._styles.full_width,
            style=self._styles.dropdown,
            tooltip=kubernetes_name(ref.path),
        )
        created = Dropdown(ref, widget, options, self._then_notify(on_change))
        self._add_input(created, label)
        return created

    def _add_input(self, created: Input, label: str) -> None:
        created.label = f"{self.context}, {label}" if self.context not in ("", label) else label
        self.inputs.append(created)

    @contextlib.contextmanager
    def within(self, context: str) -> Iterator[None]:
        """Put the name of a card, such as "Sidecar 1", before the labels of the inputs that are created."""
        before, self.context = self.context, context
        try:
            yield
        finally:
            self.context = before

    def _then_notify(self, on_change: Callable[[], None] | None) -> Callable[[], None]:
        source = object()

        def notify() -> None:
            if on_change:
                on_change()
            self.change_source = source
            self.on_change()
            self.change_source = None

        return notify

    # -- layout ---------------------------------------------------------------------------------

    def help_line(self, text: str = "") -> Any:
        """Create a line of small text."""
        return styled(self._html(escape(text)), "pt-h")

    def message_line(self, box: Any, help_text: str = "") -> ShowMessage:
        """Return a function that shows a message at the end of a box, or the help text if the message is empty.

        The line is added to the box when there is a text to show.
        """
        lines: list[Any] = []

        def show_message(text: str, tooltip: str, is_warning: bool) -> None:
            if not lines and (text or help_text):
                lines.append(self.help_line())
                box.children += (lines[0],)
            for line in lines:
                (line.add_class if text and not is_warning else line.remove_class)("pt-bad")
                (line.add_class if text and is_warning else line.remove_class)("pt-warn")
                title = f' title="{escape(tooltip)}"' if text and tooltip else ""
                line.value = f"<span{title}>{escape(text or help_text)}</span>"

        show_message("", "", False)
        return show_message

    def field(self, field_input: Input, help_text: str = "", wide: bool = False) -> Any:
        """Lay out an input with its label above, and its help text or problem below."""
        box = self.column([field_input.widget], "pt-f", *(["pt-wide"] if wide else []))
        field_input.show_message = self.message_line(box, help_text)
        return box

    def grid(self, *fields: Any) -> Any:
        """Lay out fields in two columns if there is enough room."""
        return self.box(fields, "pt-grid")

    def column(self, children: Iterable[Any], *classes: str) -> Any:
        """Lay out widgets below one another."""
        return styled(w.VBox(list(children), layout=self._styles.default_layout), *classes)

    def box(self, children: Iterable[Any], *classes: str, columns: str = "") -> Any:
        """Create a box that the style sheet lays out, with CSS grid columns if any are given."""
        return styled(w.Box(list(children), layout=self._styles.grid_layout(columns)), *classes)

    def heading(self, text: str, subtitle: str = "") -> Any:
        """Create a heading."""
        small = f"<small>{escape(subtitle)}</small>" if subtitle else ""
        return styled(self._html(f"<div>{escape(text)}{small}</div>"), "pt-sec")

    def button(self, label: str, on_click: Callable[[], None]) -> Any:
        """Create a button without a border."""
        return self._button("pt-add", on_click, description=label)

    def shortcut(self, shortcut: Shortcut) -> Any:
        """Create the button that adds what a shortcut adds, and then removes it."""

        def click() -> None:
            try:
                (shortcut.remove if shortcut.is_applied(self.draft) else shortcut.add)(self.draft)
            except InputError as error:
                self._show_error(str(error))
                return
            self.rebuild(shortcut.name)

        button = self.button(shortcut.add_label, click)
        self.focus_targets[shortcut.name] = button
        self._shortcut_buttons.append((shortcut, button))
        return button

    def remove_button(self, label: str, on_click: Callable[[], None]) -> Any:
        """Create the small button that removes an entry."""
        return self._button("pt-x", on_click, description=label, tooltip=label)

    def _button(self, css_class: str, on_click: Callable[[], None], **texts: str) -> Any:
        button = w.Button(layout=self._styles.default_layout, style=self._styles.button, **texts)
        button.on_click(lambda _: on_click())
        return styled(button, css_class)

    def _html(self, value: str) -> Any:
        return w.HTML(value, layout=self._styles.default_layout, style=self._styles.html)

    # -- problems -------------------------------------------------------------------------------

    def refresh(self, problems: Iterable[tuple[str, str]]) -> None:
        """Show the state of the draft after a change: problems at their inputs, and what shortcuts do.

        Args:
            problems: The path of a field, and what is wrong with it as sentences.
        """
        for shortcut, button in self._shortcut_buttons:
            is_applied = shortcut.is_applied(self.draft)
            button.description = shortcut.remove_label if is_applied else shortcut.add_label
            (button.add_class if is_applied else button.remove_class)("pt-remove")
        first: dict[int, tuple[str, str]] = {}
        for path, text in problems:
            field_input = self.find_input(path)
            if field_input is not None:
                first.setdefault(id(field_input), (text, path))
        for each in self.inputs:
            each.show_problem(*first.get(id(each), ("", "")))
        self._warn_of_unknown_names()

    def find_input(self, path: str) -> Input | None:
        """Return the input that edits the field with a problem: the one with the longest matching path."""
        candidates = [each for each in self.inputs if _is_within(path, each.ref.path)]
        return max(candidates, key=lambda each: len(each.ref.path), default=None)

    def close(self, widget: Any) -> None:
        """Close a widget and its children, and remove their inputs from the page."""
        for child in getattr(widget, "children", ()):
            self.close(child)
        self.inputs = [each for each in self.inputs if each.widget is not widget]
        widget.close()


def styled(widget: Any, *classes: str) -> Any:
    """Return the widget after adding CSS classes to it."""
    for name in classes:
        widget.add_class(name)
    return widget


def kubernetes_name(path: str) -> str:
    """Return a field as ``kubectl explain`` names it, for a tooltip; empty for what is not a field of the pod."""
    if not path.startswith(("spec.", "metadata.")):
        return ""
    return re.sub(r"\[\d+\]|: .*", "", f"pod.{path}")


def _is_within(path: str, parent: str) -> bool:
    return path == parent or (path.startswith(parent) and path[len(parent)] in ".[:")
