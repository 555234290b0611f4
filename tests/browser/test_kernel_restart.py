"""The form and the task list after their kernel has restarted (row U3 of the cases of use)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.chromium import NARROW, WIDE
from tests.browser.form import Form
from tests.browser.test_look import OPEN
from tests.browser.test_shortcuts import UNREACHABLE

RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
IS_IDLE = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
# The generated texts in a box, with the element's colour, where they differ between before and after a restart.
GENERATED = """selector => [...document.querySelectorAll(`${selector}, ${selector} *`)].filter(e => e.checkVisibility()).map(e => {
  const style = getComputedStyle(e, '::before');
  return [style.content, style.color, style.fontFamily, style.fontSize] })
  .filter(([content]) => !['none', 'normal', '""'].includes(content))"""
LINE = "The kernel has restarted: run this cell again."


def line_above(notebook: Any, selector: str) -> str:
    """Return the line that is shown at the head of a box, without quotes."""
    text: str = notebook.page.evaluate(
        "s => getComputedStyle(document.querySelector(s), '::before').content", selector
    )
    return text.strip('"')


@pytest.mark.parametrize(("dark", "width"), [(False, WIDE), (True, NARROW)], ids=["light", "dark-narrow"])
def test_form_after_a_restart(open_notebook: Callable[..., Any], dark: bool, width: int) -> None:
    """U3: a form shows one line, keeps its look, and what was typed can be copied; running the cell again removes the line."""
    notebook = open_notebook(OPEN, dark=dark, width=width)
    notebook.run(0)
    form, page = Form(notebook.page), notebook.page
    form.write("Image", "registry.example.org/typed:1")
    form.open("Volumes")
    before = page.evaluate(GENERATED, ".pt")
    page.evaluate(RESTART)
    page.wait_for_selector(".pt.jupyter-widgets-disconnected")
    assert line_above(notebook, ".pt") == f"{LINE} Copy still copies what you entered."
    assert page.evaluate(GENERATED, ".pt")[1:] == before
    assert notebook.accessibility_violations(".pt") == []
    notebook.screenshot(f"form-restarted-{'dark' if dark else 'light'}", form.root)
    form.root.locator(".pt-copy summary").click()
    form.click("YAML")
    page.wait_for_function("document.querySelector('.pt-copy summary').innerText === 'Copied'")
    assert "registry.example.org/typed:1" in page.evaluate("navigator.clipboard.readText()")
    page.wait_for_function(IS_IDLE)
    notebook.start(0)  # its execution count will be the same
    page.wait_for_selector(".pt:not(.jupyter-widgets-disconnected)")
    assert line_above(notebook, ".pt") == "none"


def test_task_list_after_a_restart(open_notebook: Callable[..., Any]) -> None:
    """U3: a task list shows one line after a restart."""
    notebook = open_notebook(UNREACHABLE)
    notebook.run(0)
    notebook.wait_for_text(0, "Refresh")
    notebook.page.evaluate(RESTART)
    notebook.page.wait_for_selector(".pt.jupyter-widgets-disconnected")
    assert [content for content, *_ in notebook.page.evaluate(GENERATED, ".pt")] == [f'"{LINE}"']


def test_forms_of_a_kernel_that_died(open_notebook: Callable[..., Any]) -> None:
    """U3: a kernel that dies and is restarted shows one line in each form, also in one inside another widget."""
    notebook = open_notebook(
        OPEN, "import ipywidgets\nipywidgets.VBox([TemplateBuilder().widget])", "import os\nos._exit(1)"
    )
    notebook.run(0)
    notebook.run(1)
    notebook.page.locator(".pt").nth(1).wait_for()
    notebook.start(2)
    notebook.page.wait_for_function(
        "document.querySelectorAll('.pt.jupyter-widgets-disconnected').length === 2"
    )
    lines = [content for content, *_ in notebook.page.evaluate(GENERATED, ".pt") if "restarted" in content]
    notebook.page.wait_for_function(IS_IDLE)
    assert lines == [f'"{LINE} Copy still copies what you entered."'] * 2
