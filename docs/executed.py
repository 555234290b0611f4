"""The notebooks with their outputs, which are not stored: those that need no cluster are executed."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

# A library of the theme's has all loggers print what is no warning.
logging.getLogger("traitlets").setLevel(logging.WARNING)
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def executed(text: str) -> Any:
    """Returns a notebook from its text, executed on this machine; one for a cluster as it is.

    Raises:
        CellExecutionError: a cell fails that is not tagged to.
    """
    notebook = nbformat.reads(text, as_version=4)
    if notebook.metadata.get("podtask", {}).get("needs") != "cluster":
        NotebookClient(
            notebook,
            timeout=120,
            coalesce_streams=True,
            store_widget_state=False,  # no page has a kernel: of a form it shows what a file shows
            extra_arguments=["--log-level=ERROR"],  # no warning of its own beside Sphinx's
            resources={"metadata": {"path": str(NOTEBOOKS)}},
        ).execute(env={**os.environ, "PODTASK_BACKEND": "local"})
    return notebook
