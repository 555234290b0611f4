"""The form in the browser, used as its user does: by labels, words of buttons, and the keyboard."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page
from podtask import PodTemplate

TEXT = "() => document.querySelector('.pt-pre').innerText"


class Form:
    """The form on a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".pt")
        page.wait_for_selector(".pt-pre")

    def open(self, title: str) -> None:
        """Opens a page of the form."""
        self.root.get_by_role("tab").filter(has_text=title).click()
        self.page.wait_for_function(
            "title => document.querySelector('.pt .lm-mod-current').innerText.startsWith(title)"
            " && [...document.querySelectorAll('.pt-page')].some(e => e.checkVisibility() && e.children.length)",
            arg=title,
        )

    def input(self, label: str) -> Locator:
        """Returns the visible input with a label."""
        return self.root.get_by_label(label, exact=True).locator("visible=true")

    def write(self, label: str, text: str) -> None:
        """Types into an input, and waits until the YAML has it."""
        self.input(label).click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        self.page.wait_for_function(f"text => ({TEXT})().includes(text)", arg=text)

    def choose(self, label: str, option: str) -> None:
        """Chooses one of an input's options."""
        self.input(label).select_option(option)

    def click(self, words: str) -> None:
        """Clicks a button."""
        self.root.get_by_role("button", name=words, exact=True).locator("visible=true").first.click()

    @property
    def text(self) -> str:
        """The YAML beside the form."""
        return str(self.page.evaluate(TEXT))

    def shows(self, expected: dict[str, Any]) -> None:
        """Waits until the YAML is that of a template's wire form; fails with the difference."""
        while True:
            text = self.text
            assert text, "the YAML is empty"
            shown = PodTemplate.of(f"{text}\n").to_dict()
            if shown == expected:
                return
            try:
                self.page.wait_for_function(f"text => ({TEXT})() !== text", arg=text, timeout=10_000)
            except Exception:
                assert shown == expected  # with pytest's difference
                raise
