"""A notebook in the browser: run its cells as a user does, and read the page."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.lab import TOKEN, Lab

SCREENSHOTS = Path(__file__).parent.parent.parent / "build" / "screenshots"
TIMEOUT_MS = 60_000
# With subshells, a kernel is idle while a cell runs, so the prompt of the cell is read, too.
HAS_RUN = """([n, before]) => {
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
# Only our own part of the page is checked; the rest belongs to JupyterLab.
FIND_VIOLATIONS = """async where => {
  const found = await axe.run(where, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']});
  return found.violations.flatMap(v => v.nodes.map(n =>
    `${v.impact} ${v.id}: ${n.html.slice(0, 160)} ${n.failureSummary.replace(/\\s+/g, ' ').slice(0, 260)}`));
}"""


def save_picture(page: Page, name: str, element: Locator | None = None) -> None:
    """Save a picture of a page, or of an element of it, in `SCREENSHOTS`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (element or page).screenshot(path=SCREENSHOTS / f"{name}.png")


class Notebook:
    """A notebook that is open in JupyterLab.

    Args:
        page: The browser page.
        lab: The JupyterLab that serves the notebook.
        name: Name of the file, without its suffix.
        cells: Sources of the code cells.
        dark: Whether to use the dark theme.
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
        self._counts_before: dict[int, Any] = {}  # execution counts of cells before they were started
        page.set_default_timeout(TIMEOUT_MS)
        self._url = f"{lab.url}lab/tree/{name}.ipynb?token={TOKEN}&reset"
        self.open()
        # The light theme is set, too, because JupyterLab keeps the theme of the previous notebook.
        self.set_theme(dark)

    def open(self) -> None:
        """Open the page, and wait until the kernel is idle."""
        self.page.goto(self._url)
        self.page.wait_for_function(READY)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(
            "(() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;"
            " return s.isReady && s.session && s.session.kernel.status === 'idle' })()"
        )

    def set_theme(self, dark: bool) -> None:
        """Change to JupyterLab's dark or light theme, and wait until the page has it."""
        self.command("apputils:change-theme", theme=f"JupyterLab {'Dark' if dark else 'Light'}")
        light = str(not dark).lower()
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")

    def reload(self) -> None:
        """Reload the page without waiting for the kernel, which may be busy or dead."""
        self.page.goto(self._url)  # F5 would open the workspace's other pages, too
        self.page.wait_for_function(READY)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")

    def wait_for_connection(self) -> None:
        """Wait until the page is connected to its kernel, which may be busy: before, JupyterLab runs no cell."""
        self.page.wait_for_function(
            "(() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;"
            " return s.isReady && s.session && s.session.kernel.connectionStatus === 'connected' })()"
        )

    def shut_down_kernel(self) -> None:
        """Shut the kernel down."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def command(self, name: str, **arguments: Any) -> None:
        """Start a JupyterLab command, and do not wait for it."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args) }", [name, arguments]
        )

    def cell(self, number: int) -> Locator:
        """Return a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def start(self, number: int) -> None:
        """Start a cell."""
        self._counts_before[number] = self.page.evaluate(
            "n => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = n;"
            " return c.widgets[n].model.executionCount }",
            number,
        )
        self.command("notebook:run-cell")

    def run(self, number: int) -> None:
        """Run a cell, and wait until it has run."""
        self.start(number)
        self.wait_for_cell(number)

    def run_hidden(self, source: str) -> None:
        """Run code without a cell and without output, and wait until it has run."""
        self.page.evaluate(
            "async code => { const s = window.jupyterapp.shell.currentWidget.sessionContext.session;"
            " await s.kernel.requestExecute({code, silent: true, store_history: false}).done }",
            source,
        )

    def has_run(self, number: int) -> bool:
        """Return whether a cell that was started has run."""
        has_run: bool = self.page.evaluate(HAS_RUN, [number, self._counts_before.get(number)])
        return has_run

    def wait_for_cell(self, number: int) -> None:
        """Wait until a cell has run."""
        self.page.wait_for_function(HAS_RUN, arg=[number, self._counts_before.get(number)])

    def output(self, number: int) -> str:
        """Return the output of a cell as text, as the page shows it."""
        return self.cell(number).locator(".jp-OutputArea").first.inner_text()

    def wait_for_text(self, number: int, text: str) -> None:
        """Wait until the output of a cell contains a text."""
        self.cell(number).locator(".jp-OutputArea").get_by_text(text).first.wait_for()

    def execution_count(self, number: int) -> int | None:
        """Return the execution count of a cell."""
        count: int | None = self.page.evaluate(
            "n => window.jupyterapp.shell.currentWidget.content.widgets[n].model.executionCount", number
        )
        return count

    def record_heights(self, number: int) -> None:
        """Record the height of a cell's output each time that it is drawn."""
        self.page.evaluate(
            "area => { window.heights = []; new ResizeObserver(([e]) =>"
            " window.heights.push(e.contentRect.height)).observe(area) }",
            self.cell(number).locator(".jp-OutputArea").first.element_handle(),
        )

    @property
    def recorded_heights(self) -> list[float]:
        """The heights that were recorded so far."""
        heights: list[float] = self.page.evaluate("window.heights")
        return heights

    def open_details(self, number: int, title: str = "") -> None:
        """Open the details below a cell's status line, and the section with a title."""
        details = self.cell(number).locator(".jp-OutputArea details")
        details.first.locator("summary").first.click()
        if title:
            details.get_by_text(title, exact=True).click()

    def accessibility_violations(self, selector: str) -> list[str]:
        """Return the violations that axe-core finds in a part of the page."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        violations: list[str] = self.page.evaluate(FIND_VIOLATIONS, selector)
        return violations

    def save(self) -> dict[str, Any]:
        """Save the notebook, and return its content."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        saved: dict[str, Any] = json.loads(self.file.read_text())
        return saved

    def screenshot(self, name: str, element: Locator | None = None) -> None:
        """Save a screenshot of the page or of an element."""
        save_picture(self.page, name, element)
