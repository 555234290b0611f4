"""The tests pass in notebooks of the oldest and the newest Python; ``make matrix`` runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import cache
from tests.interpreters import find_interpreter
from tests.local.test_oldest_versions import run_tests

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("tests/unit", "tests/local", "tests/faults")
# Not in every run: 170 MB, and with it pandas keeps texts in its arrays, which most images of the tests cannot read.
PYARROW = "pyarrow>=14.0.1"
RUNS = 2  # at a time, because these tests mostly wait


def make_environment(interpreter: Path) -> dict[str, str]:
    """Return the environment in which the interpreter finds podtask's sources and its tests' packages."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]

    def make(work: Path, made: Path) -> None:
        for file in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / file, work)
        for sources in ("ext", "widgets"):
            shutil.copytree(ROOT / sources, work / sources)
        target = made / "site-packages"
        subprocess.run([*command, "--target", target, f"{work}[demo,test]", PYARROW], check=True)
        for installed in ("podtask", "podtask_widgets"):  # not their metadata, which have the version
            shutil.rmtree(target / installed)

    version = subprocess.check_output([interpreter, "-V"], text=True)
    folder = cache.obtain(f"python-{cache.key(pyproject, PYARROW, version)}", make) / "site-packages"
    path = [ROOT / "ext", ROOT / "widgets", ROOT, folder]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONNOUSERSITE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


@pytest.mark.matrix
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("minor", ["3.10", "3.13"])
def test_all_tests_pass_with_another_python(minor: str) -> None:
    """All tests that need no cluster and no browser pass in a notebook of another Python."""
    if sys.version_info[:2] == tuple(map(int, minor.split("."))):
        pytest.skip(f"every run is with Python {minor}")
    interpreter = find_interpreter(minor)
    if interpreter is None:
        pytest.skip(f"there is no Python {minor}, neither on PATH nor in pyenv")
    run_tests(make_environment(interpreter), FOLDERS, RUNS, interpreter)
