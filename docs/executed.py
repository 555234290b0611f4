"""Execute the notebooks for the site: their outputs are not stored in the repository."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

# A library of the theme sets all loggers to print messages below the level of a warning.
logging.getLogger("traitlets").setLevel(logging.WARNING)
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def executed(text: str) -> Any:
    """Execute a notebook and return it with its outputs; return one that needs a cluster unexecuted.

    Args:
        text: The notebook as JSON.

    Raises:
        CellExecutionError: A cell without the tag "raises-exception" fails.
    """
    notebook = nbformat.reads(text, as_version=4)
    if notebook.metadata.get("podtask", {}).get("needs") != "cluster":
        NotebookClient(
            notebook,
            timeout=120,
            coalesce_streams=True,
            store_widget_state=False,  # a page has no kernel: it shows a form as a saved notebook does
            extra_arguments=["--log-level=ERROR"],  # keeps IPython's warnings out of Sphinx's output
            resources={"metadata": {"path": str(NOTEBOOKS)}},
        ).execute(env={**os.environ, "PODTASK_BACKEND": "local"})
    return notebook
