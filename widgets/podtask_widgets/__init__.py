"""The pod template's form, for notebooks with ipywidgets; loaded at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .builder import TemplateBuilder as TemplateBuilder

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name != "TemplateBuilder":
        raise AttributeError(f"module 'podtask_widgets' has no attribute {name!r}")
    from .builder import TemplateBuilder

    return TemplateBuilder


def __dir__() -> list[str]:
    return [*globals(), "TemplateBuilder"]
