"""Show HTML in place of a widget where the widget does not run: in a saved file, or without ipywidgets.

JupyterLab shows "Loading widget..." there, even if the output contains HTML, too. So the HTML is a
second output below the widget's, and the widget's style sheet hides it while the widget is alive.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from IPython.display import display
from podtask.frontend import show_refreshable

WIDGET_MIMETYPE = "application/vnd.jupyter.widget-view+json"
# The HTML appears after a delay, so that it does not flash up before a live widget hides it. The
# second rule hides the output of a dead widget: one that contains text, but no element.
DELAYED_STYLE = """\
<style>@keyframes podtask-late {{ from {{ max-height: 0; overflow: hidden; visibility: hidden; }} }}
.{css_class} {{ animation: podtask-late 1ms 2s backwards; }}
.jp-OutputArea-child:has(+ .jp-OutputArea-child .{css_class}):not(:has(> .jp-OutputArea-output *)) {{
  display: none; }}</style>"""


class StaticView:
    """The HTML output of one widget.

    Args:
        mimebundle: Returns the current text/plain and text/html.

    Attributes:
        style: CSS rules that hide the HTML; the widget has to contain them.
    """

    def __init__(self, mimebundle: Callable[[], dict[str, str]]) -> None:
        self._mimebundle = mimebundle
        self._css_class = f"pt-kept-{uuid.uuid4().hex[:8]}"
        self._updates: list[Callable[[], None]] = []
        self.style = f".{self._css_class}, .jp-OutputArea-child:has(.{self._css_class}) {{ display: none; }}"

    def display_with(self, widget: Any) -> None:
        """Display the widget, and the HTML below it."""
        bundle = widget._repr_mimebundle_()
        data, _ = bundle if isinstance(bundle, tuple) else (bundle, {})
        if WIDGET_MIMETYPE in data:
            widget_only = {WIDGET_MIMETYPE: data[WIDGET_MIMETYPE], "text/plain": "", "text/html": ""}
            display(widget_only, raw=True)
        update = show_refreshable(self._hidden_mimebundle)
        if update is not None:
            self._updates.append(update)

    def update(self) -> None:
        """Replace the HTML in all outputs by the current HTML."""
        for update in self._updates:
            update()

    def _hidden_mimebundle(self) -> dict[str, str]:
        bundle = self._mimebundle()
        style = DELAYED_STYLE.format(css_class=self._css_class)
        return {
            **bundle,
            "text/html": f'{style}<div class="{self._css_class}">{bundle["text/html"]}</div>',
        }
