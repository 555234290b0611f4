"""A notebook in the browser: its cells are run as its user runs them, and its page is read."""

from __future__ import annotations

import json
from importlib.resources import files
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

READY = (
    "window.jupyterapp && window.jupyterapp.shell.currentWidget"
    " && window.jupyterapp.shell.currentWidget.context"
    " && window.jupyterapp.shell.currentWidget.context.isReady"
)
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
# The page around is JupyterLab's, and so is what it does to all widgets.
FINDINGS = """async where => {
  const found = await axe.run(where, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']});
  return found.violations.flatMap(v => v.nodes.map(n =>
    `${v.impact} ${v.id}: ${n.html.slice(0, 160)} ${n.failureSummary.replace(/\\s+/g, ' ').slice(0, 260)}`));
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

    def __init__(self, page: Page, lab: Lab, name: str, cells: list[str], dark: bool = False) -> None:
        self.page = page
        self.file = lab.folder / f"{name}.ipynb"
        self.file.write_text(
            json.dumps(
                {
                    "cells": [
                        {
                            "cell_type": "code",
                            "id": f"cell-{n}",
                            "metadata": {},
                            "outputs": [],
                            "execution_count": None,
                            "source": source,
                        }
                        for n, source in enumerate(cells)
                    ],
                    "metadata": {
                        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
                    },
                    "nbformat": 4,
                    "nbformat_minor": 5,
                }
            )
        )
        self._before: dict[int, Any] = {}  # the count of a cell before it was started
        page.set_default_timeout(PATIENCE)
        self._url = f"{lab.url}lab/tree/{name}.ipynb?token={TOKEN}&reset"
        self.open()
        # Always: JupyterLab keeps what the notebook before has chosen.
        self.command("apputils:change-theme", theme=f"JupyterLab {'Dark' if dark else 'Light'}")
        light = str(not dark).lower()
        page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")

    def open(self) -> None:
        """Opens its page, or opens it again."""
        self.page.goto(self._url)
        self.page.wait_for_function(READY)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(
            "(() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;"
            " return s.isReady && s.session && s.session.kernel.status === 'idle' })()"
        )

    def reload(self) -> None:
        """Loads its page again; does not wait for a kernel, which may be busy or ended."""
        self.page.goto(self._url)  # F5 would bring what other pages have open in the workspace
        self.page.wait_for_function(READY)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")

    def end_kernel(self) -> None:
        """Ends its kernel."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def command(self, name: str, **arguments: Any) -> None:
        """Runs a command of JupyterLab; does not wait for its end."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args) }", [name, arguments]
        )

    def cell(self, number: int) -> Locator:
        """Returns a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def start(self, number: int) -> None:
        """Runs a cell."""
        self._before[number] = self.page.evaluate(
            "n => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = n;"
            " return c.widgets[n].model.executionCount }",
            number,
        )
        self.command("notebook:run-cell")

    def run(self, number: int) -> None:
        """Runs a cell, and waits for its end."""
        self.start(number)
        self.ended(number)

    def run_unseen(self, source: str) -> None:
        """Runs what is in no cell, and waits for its end; nothing is shown or counted."""
        self.page.evaluate(
            "async code => { const s = window.jupyterapp.shell.currentWidget.sessionContext.session;"
            " await s.kernel.requestExecute({code, silent: true, store_history: false}).done }",
            source,
        )

    def ended(self, number: int) -> None:
        """Waits until a cell has run."""
        self.page.wait_for_function(ENDED, arg=[number, self._before.get(number)])

    def output(self, number: int) -> str:
        """Returns the text under a cell, as the page shows it."""
        return self.cell(number).locator(".jp-OutputArea").first.inner_text()

    def shows(self, number: int, text: str) -> None:
        """Waits until a text is under a cell."""
        self.cell(number).locator(".jp-OutputArea").get_by_text(text).first.wait_for()

    def count(self, number: int) -> int | None:
        """Returns which of the kernel's executions a cell's last one was."""
        found: int | None = self.page.evaluate(
            "n => window.jupyterapp.shell.currentWidget.content.widgets[n].model.executionCount", number
        )
        return found

    def watch(self, number: int) -> None:
        """Keeps the heights that the output under a cell has from now on, one for each that is drawn."""
        self.page.evaluate(
            "area => { window.heights = []; new ResizeObserver(([e]) =>"
            " window.heights.push(e.contentRect.height)).observe(area) }",
            self.cell(number).locator(".jp-OutputArea").first.element_handle(),
        )

    @property
    def heights(self) -> list[float]:
        """Those heights so far."""
        found: list[float] = self.page.evaluate("window.heights")
        return found

    def unfold(self, number: int, title: str = "") -> None:
        """Opens the details under a cell's status line, and one part of them."""
        details = self.cell(number).locator(".jp-OutputArea details")
        details.first.locator("summary").first.click()
        if title:
            details.get_by_text(title, exact=True).click()

    def findings(self, where: str) -> list[str]:
        """Returns what axe-core has to say of a part of the page."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        found: list[str] = self.page.evaluate(FINDINGS, where)
        return found

    def save(self) -> dict[str, Any]:
        """Saves it; returns its file."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        saved: dict[str, Any] = json.loads(self.file.read_text())
        return saved

    def shot(self, name: str, of: Locator | None = None) -> None:
        """Keeps a picture."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=SHOTS / f"{name}.png")
