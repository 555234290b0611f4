"""The YAML page: the whole template as text."""

from __future__ import annotations

from typing import Any

from podtask.errors import InputError
from podtask.template.template import PodTemplate

from ..converters import check_yaml
from ..page import Page


class WholeTemplate:
    """A reference to the whole draft as YAML."""

    path = ""

    def __init__(self, page: Page) -> None:
        self._page = page

    def get(self) -> str:
        """Return the draft as YAML."""
        return self._page.draft.to_yaml()

    def set(self, text: Any) -> None:
        """Replace the draft with the template in a text.

        Raises:
            ValueError: The text is not a template.
        """
        text = f"{text or '{}'}\n"
        check_yaml(text)
        try:
            self._page.draft.load(PodTemplate.of(text))
        except InputError as error:
            raise ValueError(f"{error.message[0].upper()}{error.message[1:]} {error.hint}") from None


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    text = page.text_input(WholeTemplate(page), "Template (YAML)", rows=22)
    text.widget.add_class("pt-yaml")
    return [
        page.field(
            text,
            "Paste a Pod, a PodTemplate or a pod spec. Fields without an input on the other pages are kept.",
            wide=True,
        ),
    ]
