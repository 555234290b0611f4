"""What stands for a widget where it does not run: in a saved file, in an editor without ipywidgets.

JupyterLab shows "Loading widget..." there, whatever else an output has to offer. So what is kept is
an output of its own behind the widget's, hidden by the widget where that is alive.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from IPython.display import display
from podtask.frontend import stand

VIEW = "application/vnd.jupyter.widget-view+json"
# It comes late, so that it is not seen for a moment while a living widget is drawn; and with it
# goes the line of a widget that is not: an output with text and no element.
LATE = """\
<style>@keyframes podtask-late {{ from {{ max-height: 0; overflow: hidden; visibility: hidden; }} }}
.{mark} {{ animation: podtask-late 1ms 2s backwards; }}
.jp-OutputArea-child:has(+ .jp-OutputArea-child .{mark}):not(:has(> .jp-OutputArea-output *)) {{
  display: none; }}</style>"""


class StaticView:
    """What is kept of one widget.

    Args:
        bundle: returns it as it is now, as text/plain and text/html.

    Attributes:
        style: rules that hide it; to be part of the widget.
    """

    def __init__(self, bundle: Callable[[], dict[str, str]]) -> None:
        self._bundle = bundle
        self._mark = f"pt-kept-{uuid.uuid4().hex[:8]}"
        self._shown: list[Callable[[], None]] = []
        self.style = f".{self._mark}, .jp-OutputArea-child:has(.{self._mark}) {{ display: none; }}"

    def show(self, widget: Any) -> None:
        """Shows the widget, and behind it what is kept."""
        shown = widget._repr_mimebundle_()
        data, _ = shown if isinstance(shown, tuple) else (shown, {})
        if VIEW in data:
            display({VIEW: data[VIEW], "text/plain": "", "text/html": ""}, raw=True)
        again = stand(self._marked)
        if again is not None:
            self._shown.append(again)

    def renew(self) -> None:
        """Keeps what it has become."""
        for again in self._shown:
            again()

    def _marked(self) -> dict[str, str]:
        now = self._bundle()
        late = LATE.format(mark=self._mark)
        return {**now, "text/html": f'{late}<div class="{self._mark}">{now["text/html"]}</div>'}
