"""ipywidgets for podtask: the form for pod templates and the list of tasks, loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .builder import TemplateBuilder as TemplateBuilder
    from .task_list import TaskList as TaskList

__version__ = "0.1.0"
MODULES = {"TemplateBuilder": "builder", "TaskList": "task_list"}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module 'podtask_widgets' has no attribute {name!r}")
    return getattr(import_module(f".{MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *MODULES]
