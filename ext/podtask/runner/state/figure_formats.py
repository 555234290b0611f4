"""The formats in which Jupyter shows figures: ``%config InlineBackend.figure_formats``."""

import sys
from typing import Any, Dict, Optional

from ..ipython import display

OPTIONS = {"bbox_inches": "tight"}


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the formats and options that are not matplotlib_inline's default."""
    inline = sys.modules.get("matplotlib_inline.config")
    if inline is not None and inline.InlineBackend.initialized():
        backend = inline.InlineBackend.instance()
        formats, options = sorted(backend.figure_formats), dict(backend.print_figure_kwargs)
    else:  # %config keeps the values until the first figure
        shell = module.get_ipython()
        config = shell.config.get("InlineBackend", {}) if shell is not None else {}
        formats = sorted(config.get("figure_formats", [config.get("figure_format", "png")]))
        options = dict(config.get("print_figure_kwargs", OPTIONS))
    return None if (formats, options) == (["png"], OPTIONS) else {"formats": formats, "options": options}


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Show the figures of the cell in these formats."""
    display.settings.figure_formats = data["formats"]
    display.settings.figure_options = data["options"]
