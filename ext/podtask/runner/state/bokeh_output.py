"""Where bokeh shows plots: ``bokeh.io.output_notebook()``."""

import sys
from typing import Any, List, Optional

from .libraries import failures


def capture(module: Any, pieces: Any) -> Optional[List[str]]:
    """Return the type of the notebook and the version whose JavaScript is in its page; None if it was not called."""
    state = module.curstate()
    return [state.notebook_type, sys.modules["bokeh"].__version__] if state.notebook else None


def apply(module: Any, data: List[str]) -> None:
    """Show plots in the notebook; its page has loaded the JavaScript already."""
    kind, version = data
    ours = sys.modules["bokeh"].__version__
    if ours != version:
        failures.append(
            f"bokeh is {ours} in the pod and {version} in the notebook's page, so plots may not be shown: call "
            "output_notebook() in the cell"
        )
    module.curstate().output_notebook(kind)
