"""What a saved notebook keeps of the form and of the list of tasks, for who has no kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from podtask_widgets.static_view import VIEW

from tests.notebook import Kernel

FORM = """\
from podtask import PodTemplate
from podtask_widgets import TemplateBuilder
b = TemplateBuilder(PodTemplate(labels={"team": "one"}), "train")
b"""
CHANGE = 'b.template = b.template.replace(labels={"team": "<two>"})'


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A kernel whose cells run on this machine."""
    made = Kernel()
    yield made
    made.close()


@pytest.mark.feature("N14")
def test_form_keeps_its_template_behind_it(kernel: Kernel) -> None:
    """Behind the widget stands the template as HTML and text, and becomes what the form becomes."""
    own = kernel.start(FORM)
    widget, kept = kernel.finish().displays
    assert VIEW in widget
    assert (widget["text/plain"], widget["text/html"]) == ("", "")
    assert "team: one" in kept["text/html"]
    assert kept["text/plain"].startswith("TemplateBuilder(PodTemplate(")
    kernel.start(CHANGE)
    found = kernel.cells(lambda cells: own in cells and bool(cells[own].displays))
    assert "team: &lt;two&gt;" in found[own].displays[-1]["text/html"]
