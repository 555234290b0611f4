"""The head of the form: name, state, and what can be done with the template."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w
import yaml
from podtask.template.template import PodTemplate

from .clipboard import menu
from .page import styled

LONGEST = 70  # characters of a problem beside the name


class Header:
    """Its widgets.

    Args:
        first: leads to the first problem.
        check, save, use: what the buttons do.
    """

    def __init__(
        self,
        first: Callable[[], None],
        check: Callable[[], None],
        save: Callable[[], None],
        use: Callable[[], None],
    ) -> None:
        self.name = styled(w.Text(description="Name of the template", placeholder="name"), "pt-name")
        self._state = styled(w.Button(), "pt-state")
        self._state.on_click(lambda _: first())
        self._copy = styled(w.HTML(), "pt-menu")
        self._said = styled(w.HTML(), "pt-said", "pt-hidden")
        buttons = [
            self._button("Check", "Ask the cluster what it thinks of this pod; nothing is created", check),
            self._button("Save", "Keep the template under its name", save),
            self._button("Use", "Run the cells of this session in it", use, "primary"),
        ]
        self.widget = styled(
            w.VBox(
                [
                    styled(w.Box([self.name, self._state, self._copy, *buttons]), "pt-head"),
                    self._said,
                ]
            ),
            "pt-heading",
        )

    def show(self, problems: int, first: str) -> None:
        """Shows the state.

        Args:
            problems: how many there are.
            first: what the first one is.
        """
        text = f"{problems} problem{'s' * (problems > 1)}: {first}"
        short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        self._state.description = f"● {short}" if problems else "✓ valid"
        self._state.tooltip = "Go to the first problem" if problems else "Nothing is wrong with it"
        (self._state.add_class if problems else self._state.remove_class)("pt-bad")

    def offer(self, template: PodTemplate, text: str) -> None:
        """Offers a template for copying.

        Args:
            template: it.
            text: its YAML.
        """
        whole = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": self.name.value or "pod-template"},
            "template": yaml.safe_load(text),
        }
        kubectl = f"kubectl apply -f - <<'EOF'\n{yaml.safe_dump(whole, sort_keys=False)}EOF\n"
        python = f"from podtask import PodTemplate\n\ntemplate = {template.to_python()}\n"
        self._copy.value = menu(
            {"YAML": text, "Python": python, "kubectl": kubectl, "Flyte": template.to_flyte()}
        )

    def say(self, text: str, good: bool = True) -> None:
        """Says what came of something, below the head; an empty text takes it away."""
        (self._said.remove_class if text else self._said.add_class)("pt-hidden")
        (self._said.remove_class if good else self._said.add_class)("pt-bad")
        lines = "<br>".join(escape(line) for line in text.splitlines())
        self._said.value = f'<div role="status">{lines}</div>' if text else ""

    def _button(self, text: str, tip: str, click: Callable[[], None], style: str = "") -> Any:
        made = styled(w.Button(description=text, tooltip=tip, button_style=style), "pt-do")
        made.on_click(lambda _: click())
        return made
