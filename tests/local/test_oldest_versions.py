"""The tests pass with the oldest version of each dependency that pyproject.toml allows.

Every run tries the unit tests of the packages that use a dependency; `make matrix` tries all tests that need no
cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import cache

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("tests/unit", "tests/local", "tests/widgets", "tests/faults")
# The channel, the diagnosis and the pod's program use the standard library, except for cloudpickle (in `pickling`).
USERS_OF_DEPENDENCIES = tuple(
    f"tests/unit/{name}"
    for name in (
        "cell",
        "cluster",
        "config",
        "display",
        "lifecycle",
        "magics",
        "manage",
        "manifest",
        "pickling",
        "template",
    )
)
RUNS = 2  # at a time, because these tests mostly wait
EXCLUDED = (
    "test_schema.py",  # compares the table of fields with the newest client
    "test_template_models.py",  # the same
    "test_credentials.py",  # repeats its tests with several client versions
    "test_client_versions.py",  # the same
    "test_error_texts.py",  # contains messages of the newest IPython
    Path(__file__).name,  # would start this test again
    "test_other_pythons.py",  # the same
)
# ipywidgets 8.0 uses a class that newer versions of ipykernel deprecate.
IGNORED_WARNING = "ignore:The `ipykernel.comm.Comm` class has been deprecated:DeprecationWarning"
NEEDS_WHEELS = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="PyYAML 6.0 has no wheel for newer Pythons"
)
BOUND = re.compile(r"^([A-Za-z][\w.-]*)>=([\d.]+)(.*)$")


def oldest_requirements() -> list[str]:
    """Return each dependency at its oldest allowed version, as an argument for pip."""
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("\n]", text.index("\ndependencies = ["))]
    found = []
    for stated in re.findall(r'^  "([^"]+)"', block, re.MULTILINE):
        match = BOUND.match(stated)
        assert match, f"{stated} states no oldest version"
        marker = stated.partition(";")[2]
        found.append(f"{match[1]}=={match[2]}" + (f";{marker}" if marker else ""))
    return found


@pytest.fixture
def environment() -> dict[str, str]:
    """Return the environment of a process that imports the oldest versions."""
    requirements = oldest_requirements()

    def make(work: Path, made: Path) -> None:
        del work
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # podtask treats modules in a folder with this name as installed, not as the user's own.
        subprocess.run([*command, "--target", made / "site-packages", *requirements], check=True)

    folder = cache.obtain(f"oldest-{cache.key(*requirements, sys.version)}", make) / "site-packages"
    path = [str(folder), str(ROOT / "ext"), str(ROOT / "widgets"), str(ROOT)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONNOUSERSITE": "1",
        # Plugins that came with newer versions of these dependencies cannot be loaded.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def run_tests(
    environment: dict[str, str], folders: Iterable[str], runs: int = 1, python: Path = Path(sys.executable)
) -> None:
    """Run the tests in folders, spread over several runs of pytest at the same time; all must pass."""
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", IGNORED_WARNING]
    command += ["-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin"]
    files = [
        str(path)
        for folder in folders
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        if path.name not in EXCLUDED
    ]
    processes = [
        subprocess.Popen(
            [*command, *files[start::runs]],
            env=environment,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for start in range(runs)
    ]
    with ThreadPoolExecutor(runs) as readers:
        outputs = list(readers.map(lambda process: process.communicate()[0], processes))
    failed = [process.returncode for process in processes] != [0] * runs
    assert not failed, "\n".join(text[-8000:] for text in outputs)


@NEEDS_WHEELS
@pytest.mark.timeout(600)
def test_unit_tests_pass_with_the_oldest_versions(environment: dict[str, str]) -> None:
    """The unit tests of the packages that use a dependency pass with each dependency at its lower bound."""
    run_tests(environment, USERS_OF_DEPENDENCIES)


@NEEDS_WHEELS
@pytest.mark.matrix
@pytest.mark.timeout(2400)
def test_all_tests_pass_with_the_oldest_versions(environment: dict[str, str]) -> None:
    """All tests of the package and the form that need no cluster pass with each dependency at its lower bound."""
    run_tests(environment, FOLDERS, RUNS)
