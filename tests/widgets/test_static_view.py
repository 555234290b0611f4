"""The HTML that a saved notebook shows in place of the form, without a kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from podtask_widgets.static_view import WIDGET_MIMETYPE

from tests.notebook import Kernel

FORM = """\
from podtask import PodTemplate
from podtask_widgets import TemplateBuilder
b = TemplateBuilder(PodTemplate(labels={"team": "one"}), "train")
b"""
CHANGE = 'b.template = b.template.replace(labels={"team": "<two>"})'


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """Yield a kernel whose podtask cells run on this machine."""
    kernel = Kernel()
    yield kernel
    kernel.close()


@pytest.mark.feature("N14")
def test_form_is_followed_by_its_template_as_html(kernel: Kernel) -> None:
    """The output below the widget is the template as HTML and text, and changes with the form."""
    cell = kernel.start(FORM)
    widget, static = kernel.finish().displays
    assert WIDGET_MIMETYPE in widget
    assert (widget["text/plain"], widget["text/html"]) == ("", "")
    assert "team: one" in static["text/html"]
    assert static["text/plain"].startswith("TemplateBuilder(PodTemplate(")
    kernel.start(CHANGE)
    cells = kernel.cells(lambda cells: cell in cells and bool(cells[cell].displays))
    assert "team: &lt;two&gt;" in cells[cell].displays[-1]["text/html"]
