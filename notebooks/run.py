"""Executes an example notebook, prints what each cell shows, and says where the result is.

    python notebooks/run.py notebooks/quickstart.ipynb [--cluster]

Runs on the local backend unless --cluster is given. What a cell tagged "raises-exception" raises is
meant; any other error ends the run.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

RULE = "\033[2m" if sys.stdout.isatty() else ""
END = "\033[0m" if sys.stdout.isatty() else ""


def main() -> int:
    """Runs the notebook that the command line names; returns the exit code."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    words.add_argument("notebook", type=Path)
    words.add_argument("--cluster", action="store_true", help="in pods, not on this machine")
    words.add_argument("--output", type=Path, help="where the executed notebook goes")
    given = words.parse_args()
    notebook = nbformat.read(given.notebook, as_version=4)
    if not given.cluster:
        if notebook.metadata.get("podtask", {}).get("needs") == "cluster":
            print(f"{given.notebook} needs a cluster: add --cluster.", file=sys.stderr)
            return 2
        os.environ["PODTASK_BACKEND"] = "local"
    output = given.output or given.notebook.parent / "executed" / given.notebook.name
    output.parent.mkdir(exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=300,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # no warning of its own in the output
        resources={"metadata": {"path": str(given.notebook.parent)}},
    )
    code = 0
    try:
        client.execute()
    except CellExecutionError:
        code = 1
    nbformat.write(notebook, output)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            show(cell)
    print(f"executed notebook: {output}")
    print("open it: make lab")
    return code


def show(cell: Any) -> None:
    """Prints a cell and what it shows."""
    for line in cell.source.splitlines():
        print(f"{RULE}│ {line}{END}")
    for output in cell.outputs:
        if output.output_type == "stream":
            print(output.text.rstrip("\n"))
        elif output.output_type == "error":
            print("\n".join(output.traceback))
        else:
            print(output.data.get("text/plain", f"<{', '.join(output.data)}>"))
    print()


if __name__ == "__main__":
    sys.exit(main())
