"""Names of the cluster's objects, offered where one is typed: asked for beside it, never waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from podtask.errors import PodtaskError


def offer(kind: str, widget: Any, wanted: Callable[[], bool] = lambda: True) -> None:
    """Offers the names of a kind's objects in a Combobox as soon as they are known.

    Where they may not be read, or there is no cluster, nothing is offered; free text is possible
    always.

    Args:
        kind: of PATHS.
        widget: the Combobox.
        wanted: whether they still are, when they are known.
    """
    told = (kind, widget, wanted)
    threading.Thread(target=_fill, args=told, name="podtask names", daemon=True).start()


def _fill(kind: str, widget: Any, wanted: Callable[[], bool]) -> None:
    from podtask.api.resolve import merge_options
    from podtask.manage.names import read_names  # start-up cost: the client library comes with it

    try:
        chosen = merge_options({})
        found = [] if chosen.local else read_names(kind, chosen)
    except PodtaskError:  # settings that are wrong; the run will say so
        return
    if found and widget.comm is not None and wanted():
        widget.options = tuple(found)
