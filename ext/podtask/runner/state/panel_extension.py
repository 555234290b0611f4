"""The extension of panel: ``pn.extension()``. Panels are shown as they are; their widgets need a kernel."""

import sys
from typing import Any, Dict, Optional

from .libraries import failures


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the loaded extensions and the version in the page; None if the extension was not called."""
    extension = module.extension
    if not extension._loaded:  # noqa: SLF001
        return None
    return {"extensions": list(extension._loaded_extensions), "version": module.__version__}  # noqa: SLF001


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Show panels; the notebook's page has loaded the JavaScript already."""
    extension = module.extension
    extension._loaded = True  # noqa: SLF001
    extension._loaded_extensions = data["extensions"]  # noqa: SLF001
    version = sys.modules["panel"].__version__
    if version != data["version"]:
        failures.append(
            f"panel is {version} in the pod and {data['version']} in the notebook's page, so panels may not be "
            "shown: use an image with the notebook's version"
        )
