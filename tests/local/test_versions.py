"""Different major versions of libraries in notebook and pod are reported, and values still arrive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import podtask
import pytest
from podtask import RunOptions, Task
from podtask.channel.job import RunnerResult
from podtask.lifecycle.outcome import decode
from podtask.pickling.hints import missing_module_hint
from podtask.runner.pickler import mismatches

from tests.cluster import cache

OLD = ("numpy==1.26.4", "cloudpickle==2.2.1")
# numpy 1 has no wheels for newer Pythons. Its arrays use names that are deprecated in numpy 2.
OTHER_NUMPY = pytest.mark.skipif(
    sys.version_info >= (3, 13) or np.__version__.startswith("1."), reason="has no other numpy"
)
pytestmark = pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")


@pytest.fixture(scope="module")
def old_packages() -> Path:
    """Return a folder of packages whose major versions are older than the notebook's."""

    def make(work: Path, made: Path) -> None:
        del work
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--target", str(made / "site-packages")]
        subprocess.run([*command, *OLD], check=True)

    return cache.obtain(f"old-{cache.key(*OLD, sys.version)}", make) / "site-packages"


def run_with_packages(folder: Path, source: str, *outputs: str) -> Task:
    """Run a cell with these packages in front of all others; return the ended task."""
    env = [{"name": "PYTHONPATH", "value": str(folder)}]
    template = {"containers": [{"name": "primary", "env": env}]}
    options = RunOptions.of(local=True, outputs=outputs)
    task = podtask.submit(source, template=template, options=options)
    task.wait(60)
    return task


@OTHER_NUMPY
@pytest.mark.feature("S06")
def test_arrays_come_back_from_another_numpy(old_packages: Path) -> None:
    """Arrays come back from another major version, with a message; functions use our cloudpickle."""
    task = run_with_packages(
        old_packages,
        (
            "import cloudpickle, numpy\n"
            "about = numpy.__version__, cloudpickle.__version__\n"
            "array = numpy.arange(6.0).reshape(2, 3)\n"
            "large = numpy.ones(100_000)\n"
            "turned = lambda: array[::-1]"
        ),
        "about",
        "array",
        "large",
        "turned",
    )
    assert task.values["about"] == ("1.26.4", cloudpickle.__version__)
    np.testing.assert_array_equal(task.values["array"], [[0, 1, 2], [3, 4, 5]])
    assert task.values["large"].sum() == 100_000
    assert callable(task.values["turned"])
    (note,) = task.outcome().notes
    assert note == (f"numpy is {np.__version__} in the notebook and 1.26.4 in the pod: its values may differ")


@OTHER_NUMPY
@pytest.mark.feature("S06")
def test_values_are_sent_to_another_numpy(old_packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message about the versions precedes the error of an array that cannot be unpickled."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "number", np.float64(2), raising=False)
    monkeypatch.setattr(main, "array", np.arange(6.0), raising=False)
    said = (
        f"podtask: numpy is 1.26.4 in the pod and {np.__version__} in the notebook: its values may differ\n"
    )
    task = run_with_packages(old_packages, "print('begun')\nhalf = number / 4", "half")
    assert task.values == {"half": 0.5}
    assert task.logs() == f"{said}begun\n"
    task = run_with_packages(old_packages, "print('begun')\narray")
    assert task.logs() == said
    assert isinstance(task.error, ModuleNotFoundError)
    assert missing_module_hint(task.error) == (
        f"The image lacks this module of numpy, which is {np.__version__} in the notebook. "
        "Install it in that version with --pip, or choose an image that has it with --image."
    )


@pytest.mark.feature("S06")
def test_only_another_major_version_is_reported() -> None:
    """Equal or newer minor versions are not reported."""
    major, rest = cloudpickle.__version__.split(".", 1)
    same = {"cloudpickle": f"{major}.0"}
    assert not [*mismatches(same, "in the notebook", "in the pod")]
    other = {"cloudpickle": f"{int(major) + 1}.{rest}"}
    (line,) = mismatches(other, "in the notebook", "in the pod")
    assert line == (
        f"cloudpickle is {major}.{rest} in the pod and {int(major) + 1}.{rest} in the notebook: "
        "its values may differ"
    )


@pytest.mark.feature("S06")
def test_value_that_another_version_cannot_unpickle_is_named() -> None:
    """The error about a pandas 3 table in an image with pandas 2 names the value and the versions."""
    about: dict[str, Any] = {
        "type": "NotImplementedError",
        "module": "builtins",
        "message": "(<StringDtype>, ...)",
        "notes": [],
        "frames": [],
        "cause": None,
        "context": None,
        "suppress": False,
        "members": [],
    }
    end = {
        "status": "error",
        "versions": {"cloudpickle": "1.0"},
        "error": {"errors": [about], "stage": "load", "input": "table"},
    }
    error = decode(RunnerResult(end, []), "pod x", lambda _: "").error
    assert error is not None
    assert error.__notes__ == [
        "This happened while table was unpacked, before the cell's first line.",
        f"cloudpickle is {cloudpickle.__version__} in the notebook and 1.0 in the pod: "
        "choose an image with the notebook's version with --image.",
        "in pod x",
    ]


@pytest.mark.feature("S06")
def test_versions_of_the_pod_are_compared_first() -> None:
    """A mismatch of versions is reported even without values; modules missing here are ignored."""
    end = {"status": "ok", "versions": {"cloudpickle": "1.0", "nowhere_at_all": "1.0"}}
    outcome = decode(RunnerResult(end, []), "pod x", lambda _: "")
    (line,) = outcome.notes
    assert line.startswith(f"cloudpickle is {cloudpickle.__version__} in the notebook and 1.0 in the pod")
