"""Install the versions of the client library that a notebook may have in the cache of the tests."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import cache

# The oldest supported version, the last one of the old generator, one that sends tokens again, and a strict one.
VERSIONS = ("31.0.0", "35.0.0", "36.0.3", "37.0.2")
# Other tests use the newest version. Every run tests the oldest one, and `make matrix` those in between.
EACH_VERSION = [
    pytest.param(version, marks=[] if version == VERSIONS[0] else [pytest.mark.matrix])
    for version in VERSIONS
]
ROOT = Path(__file__).parent.parent.parent


@functools.cache
def client_folder(version: str) -> Path:
    """Return a folder that contains this version of the client and its dependencies."""

    def make(work: Path, made: Path) -> None:
        del work
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(made)]
        subprocess.run([*command, f"kubernetes=={version}"], check=True)

    return cache.obtain(f"client-{version}-{cache.key(version, sys.version)}", make)


def run_with(version: str, source: str) -> str:
    """Run a program that imports this version of the client; return its output."""
    path = [str(client_folder(version)), str(ROOT / "ext"), str(ROOT)]
    path += filter(None, [os.environ.get("PYTHONPATH")])  # may contain the packages of the tests
    # Without the user's folders: the version under test comes before any installed version.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONNOUSERSITE": "1"}
    done = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
