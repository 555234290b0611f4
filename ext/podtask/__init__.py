"""podtask: run a notebook cell in a Kubernetes pod.

Public names are loaded when they are first used, so that ``import podtask`` takes little time.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from .api import joblib_import

if TYPE_CHECKING:
    from .api.attach import attach as attach
    from .api.decorator import TaskFunction as TaskFunction
    from .api.decorator import task as task
    from .api.executor import Executor as Executor
    from .api.load import load as load
    from .api.session import session as session
    from .api.submit import render as render
    from .api.submit import run as run
    from .api.submit import submit as submit
    from .cell.cell import Cell as Cell
    from .config.options import RunOptions as RunOptions
    from .errors import ClusterError as ClusterError
    from .errors import InputError as InputError
    from .errors import Lost as Lost
    from .errors import PodtaskError as PodtaskError
    from .errors import StartError as StartError
    from .errors import TaskError as TaskError
    from .errors import TaskTimeout as TaskTimeout
    from .lifecycle.task import Task as Task
    from .maps.map_task import MapTask as MapTask
    from .runner.podtask_stub import wait_for as wait_for
    from .template.template import PodTemplate as PodTemplate

__version__ = "0.1.0"
__all__ = [
    "Cell",
    "ClusterError",
    "Executor",
    "InputError",
    "Lost",
    "MapTask",
    "PodTemplate",
    "PodtaskError",
    "RunOptions",
    "StartError",
    "Task",
    "TaskError",
    "TaskFunction",
    "TaskTimeout",
    "attach",
    "load",
    "render",
    "run",
    "session",
    "submit",
    "task",
    "wait_for",
]
_MODULES = {  # of the names above
    "Cell": "cell.cell",
    "RunOptions": "config.options",
    "PodTemplate": "template.template",
    "Task": "lifecycle.task",
    "MapTask": "maps.map_task",
    "Executor": "api.executor",
    "attach": "api.attach",
    "load": "api.load",
    "render": "api.submit",
    "session": "api.session",
    "run": "api.submit",
    "submit": "api.submit",
    "TaskFunction": "api.decorator",
    "task": "api.decorator",
    "wait_for": "runner.podtask_stub",
    "PodtaskError": "errors",
    "InputError": "errors",
    "ClusterError": "errors",
    "StartError": "errors",
    "TaskError": "errors",
    "TaskTimeout": "errors",
    "Lost": "errors",
}


logging.getLogger(__name__).addHandler(logging.NullHandler())
joblib_import.offer_backend()
if os.environ.get("PODTASK_LOG"):
    from .log import set_level_from_environment  # start-up cost: few users switch the log on

    set_level_from_environment()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'podtask' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def load_ipython_extension(ipython: Any) -> None:
    """Register the magics and their completion (``%load_ext podtask``)."""
    # Start-up cost: loaded when it is first needed.
    from .magics.completion import make_matcher
    from .magics.current_session import run_here
    from .magics.magic import PodtaskMagics, hint_at_left_name, show_help_of_empty_cell

    unload_ipython_extension(ipython)  # loaded again: one matcher is enough
    magics = PodtaskMagics(ipython)
    ipython.register_magics(magics)
    ipython.input_transformers_cleanup.extend([show_help_of_empty_cell, run_here])
    ipython.events.register("post_run_cell", hint_at_left_name)
    if ipython.Completer is not None:
        ipython.Completer.custom_matchers.append(make_matcher(ipython, magics.current_session))


def unload_ipython_extension(ipython: Any) -> None:
    """Remove the magics and their completion (``%unload_ext podtask``)."""
    if "podtask.sessions.bindings" in sys.modules:
        sys.modules["podtask.sessions.bindings"].stop_log()
    magics = ipython.magics_manager.registry.pop("PodtaskMagics", None)
    if magics is not None:
        magics.current_session.leave()
    for kind, name in (("cell", "podtask"), ("line", "podtask"), ("cell", "here")):
        ipython.magics_manager.magics[kind].pop(name, None)
    for callback in list(ipython.events.callbacks["post_run_cell"]):
        if getattr(callback, "__name__", "") == "hint_at_left_name":
            ipython.events.unregister("post_run_cell", callback)
    ipython.input_transformers_cleanup[:] = [
        each
        for each in ipython.input_transformers_cleanup
        if getattr(each, "__module__", "") not in ("podtask.magics.magic", "podtask.magics.current_session")
    ]
    if ipython.Completer is not None:
        kept = [
            each
            for each in ipython.Completer.custom_matchers
            if getattr(each, "matcher_identifier", "") != "podtask"
        ]
        ipython.Completer.custom_matchers[:] = kept
