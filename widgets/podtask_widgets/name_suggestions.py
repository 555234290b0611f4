"""Suggest the names of objects in the cluster; they are read in a thread, so that the form never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from podtask.errors import PodtaskError

from .background import describe


def suggest_names(
    kind: str,
    combobox: Any,
    show_error: Callable[[str], None],
    is_current: Callable[[], bool] = lambda: True,
) -> None:
    """Suggest the names of all objects of a kind, as soon as they are known.

    Without a cluster, or without permission to list the objects, there are no suggestions. Any
    other text can be entered, too.

    Args:
        kind: Kind of object, as ``manage.names`` knows it: "secret", for example.
        combobox: Combobox that shows the suggestions.
        show_error: Called with an unexpected error as a sentence, in the thread.
        is_current: Returns whether the combobox still asks for this kind when the names are known.
    """
    arguments = (kind, combobox, show_error, is_current)
    threading.Thread(target=_set_options, args=arguments, name="podtask names", daemon=True).start()


def _set_options(
    kind: str, combobox: Any, show_error: Callable[[str], None], is_current: Callable[[], bool]
) -> None:
    # Start-up cost: loaded when it is first needed.
    from podtask.api.resolve import merge_options
    from podtask.manage.names import read_names  # start-up cost: loads the Kubernetes client

    try:
        chosen = merge_options({})
        names = [] if chosen.local else read_names(kind, chosen)
        if names and combobox.comm is not None and is_current():
            combobox.options = tuple(names)
    except PodtaskError:  # the settings are wrong: running a cell reports it
        return
    except Exception as error:  # noqa: BLE001 -- a thread has no caller: the form shows it in place of a traceback
        show_error(f"The names of each {kind} cannot be suggested: {describe(error)}")
