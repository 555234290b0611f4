"""Where bokeh shows plots, ``bokeh.io.output_notebook()``, and the theme of its current document."""

import sys
from typing import Any, Dict, Optional

from .libraries import LOST, failures, is_plain, value_of


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the notebook's type, the version whose JavaScript is in its page, and the theme; None by default."""
    state = module.curstate()
    found: Dict[str, Any] = {}
    if state.notebook:
        found.update(notebook=state.notebook_type, version=sys.modules["bokeh"].__version__)
    theme = state.document.theme
    if theme is not sys.modules["bokeh.themes"].default:
        content = theme._json  # noqa: SLF001 -- all that a theme is made of
        found["theme"] = content if is_plain(content) else pieces.pickled("bokeh's theme", content)
    return found or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Show plots in the notebook, whose page has loaded the JavaScript already, and with its theme."""
    state = module.curstate()
    if "notebook" in data:
        version = sys.modules["bokeh"].__version__
        if version != data["version"]:
            failures.append(
                f"bokeh is {version} in the pod and {data['version']} in the notebook's page, so plots may not be "
                "shown: call output_notebook() in the cell"
            )
        state.output_notebook(data["notebook"])
    if data.get("theme", LOST) != LOST:
        state.document.theme = sys.modules["bokeh.themes"].Theme(json=value_of(data["theme"]))
