"""A notebook in the browser: its cells are run as its user runs them, and its page is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.lab import TOKEN, Lab

SHOTS = Path(__file__).parent.parent.parent / "build" / "screenshots"
PATIENCE = 60_000  # ms, until something that must come is missing
# With subshells a kernel is said to be idle while a cell runs: the cell's own prompt tells.
ENDED = """([n, before]) => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[n];
  return cell && cell.model.executionState !== 'running' && cell.model.executionCount !== null
    && cell.model.executionCount !== before
    && !cell.node.querySelector('.jp-InputPrompt').textContent.includes('*');
}"""


class Notebook:
    """A notebook that is open in JupyterLab.

    Args:
        page: of the browser.
        lab: that serves it.
        name: of its file.
        cells: sources, of code.
        dark: the dark theme.
    """

    def __init__(
        self, page: Page, lab: Lab, name: str, cells: list[str], dark: bool = False
    ) -> None:
        self.page = page
        self.file = lab.folder / f"{name}.ipynb"
        self.file.write_text(json.dumps({
            "cells": [{"cell_type": "code", "id": f"cell-{n}", "metadata": {}, "outputs": [],
                       "execution_count": None, "source": source} for n, source in enumerate(cells)],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4, "nbformat_minor": 5,
        }))  # fmt: skip
        self._before: dict[int, Any] = {}  # the count of a cell before it was started
        page.set_default_timeout(PATIENCE)
        self._url = f"{lab.url}lab/tree/{name}.ipynb?token={TOKEN}&reset"
        self.open()
        if dark:
            self.command("apputils:change-theme", theme="JupyterLab Dark")
            page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")

    def open(self) -> None:
        """Opens its page, or opens it again."""
        self.page.goto(self._url)
        self.page.wait_for_function(
            "window.jupyterapp && window.jupyterapp.shell.currentWidget"
            " && window.jupyterapp.shell.currentWidget.context"
            " && window.jupyterapp.shell.currentWidget.context.isReady"
        )
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(
            "(() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;"
            " return s.isReady && s.session && s.session.kernel.status === 'idle' })()"
        )

    def command(self, name: str, **arguments: Any) -> None:
        """Runs a command of JupyterLab; does not wait for its end."""
        self.page.evaluate("([name, args]) => { window.jupyterapp.commands.execute(name, args) }",
                           [name, arguments])  # fmt: skip

    def cell(self, number: int) -> Locator:
        """Returns a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def start(self, number: int) -> None:
        """Runs a cell."""
        self._before[number] = self.page.evaluate(
            "n => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = n;"
            " return c.widgets[n].model.executionCount }", number)  # fmt: skip
        self.command("notebook:run-cell")

    def run(self, number: int) -> None:
        """Runs a cell, and waits for its end."""
        self.start(number)
        self.ended(number)

    def ended(self, number: int) -> None:
        """Waits until a cell has run."""
        self.page.wait_for_function(ENDED, arg=[number, self._before.get(number)])

    def output(self, number: int) -> str:
        """Returns the text under a cell, as the page shows it."""
        return self.cell(number).locator(".jp-OutputArea").first.inner_text()

    def save(self) -> dict[str, Any]:
        """Saves it; returns its file."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        saved: dict[str, Any] = json.loads(self.file.read_text())
        return saved

    def shot(self, name: str, of: Locator | None = None) -> None:
        """Keeps a picture."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=SHOTS / f"{name}.png")
