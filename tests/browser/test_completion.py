"""Tab completion in a real page: options of the magic and names of templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.feature("N13")
def test_options_and_templates_by_tab(open_notebook: Callable[..., Any]) -> None:
    """Tab completes options by their prefix, and the templates of this notebook."""
    before = "%load_ext podtask\nfrom podtask import PodTemplate\ngpu_train = PodTemplate()"
    notebook = open_notebook(before, "%%podtask --start")
    notebook.run(0)
    page = notebook.page
    editor = notebook.cell(1).locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+End")
    for typed, offered in (
        ("", "--start-timeout"),
        (" 5m -t gpu", "gpu_train"),
        (" --mem", "--memory"),
    ):
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
        popup = page.locator(".jp-Completer")
        popup.get_by_text(offered).first.wait_for()
        notebook.screenshot(f"completion-{offered.strip('-')}")
        page.keyboard.press("Enter")
        popup.wait_for(state="hidden")
    assert editor.inner_text() == "%%podtask --start-timeout 5m -t gpu_train --memory"
