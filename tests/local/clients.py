"""The client library in the versions that a notebook may have, each installed in the tests' cache."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import cache

# The oldest supported, the last of the old generator, the one with a token again, the strict one.
VERSIONS = ("31.0.0", "35.0.0", "36.0.3", "37.0.2")
# The other tests use the newest; the oldest is in every run, those between are for `make matrix`.
EACH_VERSION = [
    pytest.param(version, marks=[] if version == VERSIONS[0] else [pytest.mark.matrix])
    for version in VERSIONS
]
ROOT = Path(__file__).parent.parent.parent


@functools.cache
def client_folder(version: str) -> Path:
    """Return a folder with that version in it, and all that it imports."""

    def make(work: Path, made: Path) -> None:
        del work
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(made)]
        subprocess.run([*command, f"kubernetes=={version}"], check=True)

    return cache.obtain(f"client-{version}-{cache.key(version, sys.version)}", make)


def run_with(version: str, source: str) -> str:
    """Run a program that finds this version of the client first; returns what it printed."""
    path = [str(client_folder(version)), str(ROOT / "ext"), str(ROOT)]
    # No folder of the user's: the version under test comes before any that is installed.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1"}
    done = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
