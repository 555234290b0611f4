"""Replacements for IPython's modules and display functions, for an image without IPython.

Importing a name that a replacement does not have raises an error with that name.
"""

import types
from typing import Any, Dict, Optional

from .display import DisplayFrontend, DisplayHandle
from .display_classes import DISPLAY_CLASSES, DisplayObject
from .shell import get_ipython
from .shell_command import SList

Options = Dict[str, Any]


def stub_module(name: str, frontend: DisplayFrontend) -> types.ModuleType:
    """Return the replacement for one of IPython's modules."""
    stub = types.ModuleType(name)
    stub.__path__ = []  # a package, so that importing a missing submodule names the submodule
    names: Options = {"get_ipython": get_ipython}
    if name.startswith(("IPython.display", "IPython.core.display")):
        names = {each.__name__: each for each in DISPLAY_CLASSES}
        names.update(display_functions(frontend), TextDisplayObject=DisplayObject)
    elif name == "IPython":
        names.update(version_info=(9, 0, 0), __version__="9.0.0", display=frontend.display)
    elif name == "IPython.utils.text":
        names = {"SList": SList}
    stub.__dict__.update(names)

    def missing(wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        raise ImportError(
            f"{name}.{wanted}: this image has no IPython, and its replacement has only "
            f"{', '.join(sorted(names))}. Choose an image with IPython, or --pip ipython."
        )

    stub.__dict__["__getattr__"] = missing
    return stub


def display_functions(frontend: DisplayFrontend) -> Options:
    """Return the functions of ``IPython.display`` that display objects."""

    def update_display(obj: Any, *, display_id: str, **options: Any) -> None:
        frontend.display(obj, display_id=display_id, update=True, **options)

    def publish_display_data(
        data: Options, metadata: Optional[Options] = None, *, transient: Any = None, **options: Any
    ) -> None:
        frontend.show_bundle(
            data, metadata or {}, (transient or {}).get("display_id"), options.get("update", False)
        )

    def display_as(mime: str) -> Any:
        def display(*objects: Any, raw: bool = False, metadata: Optional[Options] = None) -> None:
            for obj in objects:
                if raw:
                    frontend.show_bundle({mime: obj}, {mime: metadata} if metadata else {})
                else:
                    frontend.display(obj, include=[mime, "text/plain"])

        return display

    mime_types = {
        "display_html": "text/html",
        "display_markdown": "text/markdown",
        "display_svg": "image/svg+xml",
        "display_png": "image/png",
        "display_jpeg": "image/jpeg",
        "display_latex": "text/latex",
        "display_json": "application/json",
        "display_javascript": "application/javascript",
        "display_pretty": "text/plain",
    }
    return {
        "display": frontend.display,
        "clear_output": frontend.clear_output,
        "update_display": update_display,
        "publish_display_data": publish_display_data,
        "DisplayHandle": DisplayHandle,
        **{name: display_as(mime) for name, mime in mime_types.items()},
    }
