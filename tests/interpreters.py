"""The interpreters of other versions of Python on this machine."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path


@functools.cache
def find_interpreter(minor: str) -> Path | None:
    """Return the interpreter of a minor version of Python, such as ``3.10``; None if there is none.

    It is on PATH (``python3.10``) or of pyenv.
    """
    on_path = shutil.which(f"python{minor}")
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    candidates = [Path(on_path)] if on_path else []
    candidates += sorted(root.glob(f"versions/{minor}.*/bin/python"))
    for candidate in candidates:
        # A shim of pyenv exists for versions that are not active, and fails.
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None
