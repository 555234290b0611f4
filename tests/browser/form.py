"""Use the form in the browser as a user does: by labels, buttons and the keyboard."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page
from podtask import PodTemplate

YAML_TEXT = "() => document.querySelector('.pt-pre').innerText"


class Form:
    """The form on a browser page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".pt")
        page.wait_for_selector(".pt-pre")

    def open(self, title: str) -> None:
        """Open a page of the form."""
        self.root.get_by_role("tab").filter(has_text=title).click()
        self.page.wait_for_function(
            "title => document.querySelector('.pt .lm-mod-current').innerText.startsWith(title)"
            " && [...document.querySelectorAll('.pt-page')].some(e => e.checkVisibility() && e.children.length)",
            arg=title,
        )

    def input(self, label: str) -> Locator:
        """Return the visible input with a label."""
        return self.root.get_by_label(label, exact=True).locator("visible=true")

    def write(self, label: str, text: str) -> None:
        """Type into an input, and wait until the YAML contains the text."""
        self.input(label).click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        self.page.wait_for_function(f"text => ({YAML_TEXT})().includes(text)", arg=text)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a dropdown."""
        self.input(label).select_option(option)

    def click(self, label: str) -> None:
        """Click a button."""
        self.root.get_by_role("button", name=label, exact=True).locator("visible=true").first.click()

    @property
    def yaml(self) -> str:
        """The YAML next to the form."""
        return str(self.page.evaluate(YAML_TEXT))

    def wait_for_template(self, expected: dict[str, Any]) -> None:
        """Wait until the YAML describes the expected template; fail with the difference.

        Args:
            expected: The template in wire form.
        """
        while True:
            text = self.yaml
            assert text, "the YAML is empty"
            shown = PodTemplate.of(f"{text}\n").to_dict()
            if shown == expected:
                return
            try:
                self.page.wait_for_function(f"text => ({YAML_TEXT})() !== text", arg=text, timeout=10_000)
            except Exception:
                assert shown == expected  # pytest shows the difference
                raise
