"""Execute an example notebook, print the output of each cell, and print where the result is saved.

    python notebooks/run.py notebooks/quickstart.ipynb [--cluster]

The notebook runs on this machine unless --cluster is given. An error in a cell with the tag "raises-exception"
is expected. Any other error ends the run.
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
    """Run the notebook that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--cluster", action="store_true", help="run cells in pods instead of on this machine")
    parser.add_argument("--output", type=Path, help="path of the executed notebook")
    arguments = parser.parse_args()
    notebook = nbformat.read(arguments.notebook, as_version=4)
    if not arguments.cluster:
        if notebook.metadata.get("podtask", {}).get("needs") == "cluster":
            print(f"{arguments.notebook} needs a cluster: add --cluster.", file=sys.stderr)
            return 2
        os.environ["PODTASK_BACKEND"] = "local"
    output = arguments.output or arguments.notebook.parent / "executed" / arguments.notebook.name
    output.parent.mkdir(exist_ok=True)
    client = NotebookClient(
        notebook,
        timeout=300,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # keeps IPython's warnings out of the output
        resources={"metadata": {"path": str(arguments.notebook.parent)}},
    )
    code = 0
    try:
        client.execute()
    except CellExecutionError:
        code = 1
    nbformat.write(notebook, output)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            print_cell(cell)
    print(f"executed notebook: {output}")
    print("open it: make lab")
    return code


def print_cell(cell: Any) -> None:
    """Print a cell and its output."""
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
