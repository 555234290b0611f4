"""The environment with all libraries of the cells, for the notebooks of ``make matrix``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster import cache
from tests.cluster.images import LIBRARIES

# What the cells import of them.
LIBRARY_MODULES = (
    *("altair", "attrs", "bokeh", "duckdb", "holoviews", "hvplot", "joblib", "loguru", "networkx", "panel"),
    *("plotly", "polars", "pyarrow", "pydantic", "rich", "sklearn", "sqlalchemy", "structlog", "xarray"),
)


def library_environment() -> dict[str, str]:
    """Return the environment of a process that imports all libraries."""

    def make(work: Path, made: Path) -> None:
        del work
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # podtask treats modules in a folder with this name as installed, not as the user's own.
        subprocess.run([*command, "--target", made / "site-packages", *LIBRARIES], check=True)

    folder = cache.obtain(f"libraries-{cache.key(*LIBRARIES, sys.version)}", make) / "site-packages"
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
