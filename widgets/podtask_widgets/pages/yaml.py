"""The page of the whole template as YAML, to be edited."""

from __future__ import annotations

from typing import Any

from podtask.errors import InputError
from podtask.template.template import PodTemplate

from ..page import Page


class Whole:
    """The place of the draft as a whole."""

    path = ""

    def __init__(self, page: Page) -> None:
        self._page = page

    def get(self) -> str:
        """Returns its YAML."""
        return self._page.draft.to_yaml()

    def set(self, text: Any) -> None:
        """Makes it what the text says.

        Raises:
            ValueError: it says no template.
        """
        try:
            self._page.draft.become(PodTemplate.of(f"{text or '{}'}\n"))
        except InputError as error:
            raise ValueError(str(error).replace("\n", " ")) from None


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    text = page.text(Whole(page), "The whole template", lines=22)
    text.widget.add_class("pt-yaml")
    return [
        page.field(
            text,
            "A Pod, a PodTemplate or a pod's spec may be pasted here. "
            "What the other pages have no field for is kept.",
            wide=True,
        ),
    ]
