"""The header of the form: the template's name, its state, and the buttons."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w
from podtask.template.template import PodTemplate
from podtask.template.yaml_writer import dump_yaml

from .clipboard import copy_menu
from .draft import Draft
from .page import styled

USE_TOOLTIP = "Use this template for all cells of this session"
STOP_TOOLTIP = "All cells of this session run with this template. Click to stop using it"


class Header:
    """The header's widgets.

    Args:
        show_first_problem: Called when the state is clicked.
        check: Called when Check is clicked.
        save: Called when Save is clicked.
        use: Called when Use or Stop using is clicked.
        undo: Called when Undo is clicked.
        open_menu: The Open menu.
    """

    def __init__(
        self,
        show_first_problem: Callable[[], None],
        check: Callable[[], None],
        save: Callable[[], None],
        use: Callable[[], None],
        undo: Callable[[], None],
        open_menu: Any,
    ) -> None:
        self.name = styled(w.Text(description="Template name", placeholder="name", tooltip=""), "pt-name")
        self._state = styled(w.Button(), "pt-state")
        self._state.on_click(lambda _: show_first_problem())
        self._copy_menu = styled(w.HTML(), "pt-menu")
        self._message = message_box()
        self._used_mark = styled(
            w.HTML('<span title="All cells of this session run with this template">in use</span>'),
            "pt-used",
            "pt-hidden",
        )
        self._undo_button = self._button("Undo", "Undo the last change", undo)
        self._use_button = self._button("Use", USE_TOOLTIP, use, "primary")
        buttons = [
            self._undo_button,
            open_menu,
            self._copy_menu,
            self._button("Check", "Check the pod with the API server; nothing is created", check),
            self._button("Save", "Save the template under this name", save),
            self._use_button,
        ]
        self.widget = styled(
            w.VBox(
                [
                    styled(
                        w.Box(
                            [self.name, self._used_mark, self._state, styled(w.Box(buttons), "pt-buttons")]
                        ),
                        "pt-head",
                    ),
                    self._message,
                ]
            ),
            "pt-heading",
        )

    def show_state(self, problem_count: int, first_problem: str, path: str) -> None:
        """Show whether the template is valid.

        Args:
            problem_count: Number of problems.
            first_problem: The first problem as sentences; the page shortens them to the width of the header.
            path: Path of the first problem's field.
        """
        text = f"{problem_count} problem{'s' * (problem_count > 1)}: {first_problem}"
        self._state.description = f"● {text}" if problem_count else "✓ valid"
        self._state.tooltip = f"Go to the field: {path}" if problem_count else "No problems found"
        (self._state.add_class if problem_count else self._state.remove_class)("pt-bad")

    def show_use(self, in_use: bool) -> None:
        """Show whether the cells of the session run with this template."""
        (self._used_mark.remove_class if in_use else self._used_mark.add_class)("pt-hidden")
        self._use_button.description = "Stop using" if in_use else "Use"
        self._use_button.button_style = "" if in_use else "primary"
        self._use_button.tooltip = STOP_TOOLTIP if in_use else USE_TOOLTIP

    def show_undo(self, possible: bool) -> None:
        """Show whether there is a step to undo."""
        self._undo_button.disabled = not possible

    def update_copy_menu(self, template: PodTemplate, draft: Draft) -> None:
        """Put a template into the Copy menu.

        Args:
            template: The template; the last valid one.
            draft: The template that is being edited.
        """
        manifest = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": self.name.value or "pod-template"},
            "template": draft.to_dict(),
        }
        kubectl = f"kubectl apply -f - <<'EOF'\n{dump_yaml(manifest)}EOF\n"
        python = f"from podtask import PodTemplate\n\ntemplate = {template.to_python()}\n"
        self._copy_menu.value = copy_menu(
            {"YAML": draft.to_yaml(), "Python": python, "kubectl": kubectl, "Flyte": template.to_flyte()}
        )

    def show_message(self, text: str, is_error: bool = False, tooltip: str = "") -> None:
        """Show a message below the header; an empty text hides it."""
        show_message(self._message, text, is_error, tooltip)

    def _button(self, label: str, tooltip: str, on_click: Callable[[], None], style: str = "") -> Any:
        button = styled(w.Button(description=label, tooltip=tooltip, button_style=style), "pt-do")
        button.on_click(lambda _: on_click())
        return button


def message_box() -> Any:
    """Create the widget for :func:`show_message`, hidden."""
    return styled(w.HTML(), "pt-said", "pt-hidden")


def show_message(box: Any, text: str, is_error: bool = False, tooltip: str = "") -> None:
    """Show a message in a message box; an empty text hides the box."""
    (box.remove_class if text else box.add_class)("pt-hidden")
    (box.add_class if is_error else box.remove_class)("pt-bad")
    lines = "<br>".join(escape(line) for line in text.splitlines())
    title = f' title="{escape(tooltip)}"' if tooltip else ""
    box.value = f'<div role="status"{title}>{lines}</div>' if text else ""
