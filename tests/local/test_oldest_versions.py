"""The oldest versions that pyproject.toml states, of every dependency: these tests pass with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import cache

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("tests/unit", "tests/local", "tests/widgets", "tests/faults")
RUNS = 2  # at a time: much of it waits
# The table of a pod's fields is compared with the newest client; the clients have a matrix of
# their own; around the texts of errors stands what the newest IPython says; a run in a run is enough.
APART = (
    "test_schema.py",
    "test_template_models.py",
    "test_credentials.py",
    "test_error_texts.py",
    Path(__file__).name,
)
# ipywidgets 8.0 makes its comms by a class that newer versions of ipykernel would rather lose.
THEIRS = "ignore:The `ipykernel.comm.Comm` class has been deprecated:DeprecationWarning"
BOUND = re.compile(r"^([A-Za-z][\w.-]*)>=([\d.]+)(.*)$")


def oldest() -> list[str]:
    """Returns each dependency in its oldest stated version, as pip takes it."""
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("\n]", text.index("\ndependencies = ["))]
    found = []
    for stated in re.findall(r'^  "([^"]+)"', block, re.MULTILINE):
        match = BOUND.match(stated)
        assert match, f"{stated} states no oldest version"
        marker = stated.partition(";")[2]
        found.append(f"{match[1]}=={match[2]}" + (f";{marker}" if marker else ""))
    return found


@pytest.mark.timeout(2400)
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="PyYAML 6.0 has no wheel for newer Pythons")
def test_oldest_stated_versions_do() -> None:
    """All tests of package and form, without a cluster, pass with each dependency at its lower bound."""
    wanted = oldest()

    def make(work: Path, made: Path) -> None:
        del work
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # The name makes them installed packages, not the user's own modules.
        subprocess.run([*command, "--target", made / "site-packages", *wanted], check=True)

    folder = cache.obtain(f"oldest-{cache.key(*wanted, sys.version)}", make) / "site-packages"
    path = [str(folder), str(ROOT / "ext"), str(ROOT / "widgets"), str(ROOT)]
    # Plugins of pytest that came with newer versions of what is old here cannot be loaded.
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONNOUSERSITE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", THEIRS]
    command += ["-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin"]
    files = [
        str(path)
        for top in FOLDERS
        for path in sorted((ROOT / top).rglob("test_*.py"))
        if path.name not in APART
    ]
    runs = [
        subprocess.Popen(
            [*command, *files[start::RUNS]],
            env=env,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for start in range(RUNS)
    ]
    with ThreadPoolExecutor(RUNS) as readers:
        said = list(readers.map(lambda run: run.communicate()[0], runs))
    assert [run.returncode for run in runs] == [0] * RUNS, "\n".join(text[-8000:] for text in said)
