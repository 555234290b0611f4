"""joblib's backend "podtask" on local workers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import joblib
import podtask  # noqa: F401 -- offers the backend
import pytest
from podtask.errors import InputError
from podtask.lifecycle.task import all_handles

from tests.notebook import Shell

OWN_MODULE = '''
import os

def where(x):
    """Return a number and the process."""
    return x, os.getpid()

def fail(x):
    """Fail for some."""
    if x == 3:
        raise ValueError("3 is odd")
    return x
'''
ONE_WAY = "import podtask\nassert 'joblib' not in sys.modules\nimport joblib"
OTHER_WAY = "import joblib\nimport podtask"


@pytest.mark.feature("N22")
def test_parallel_runs_in_workers(own_module: Any) -> None:
    """Parallel gives its results in order, from other processes, and leaves no worker."""
    with joblib.parallel_config("podtask", n_jobs=2, local=True):
        found = joblib.Parallel()(joblib.delayed(own_module.where)(x) for x in range(30))
    assert [x for x, _ in found] == list(range(30))
    assert os.getpid() not in {pid for _, pid in found}
    assert len({pid for _, pid in found}) <= 2
    assert [each for each in all_handles() if not each.done()] == []


@pytest.mark.feature("N22")
def test_error_ends_the_rest(own_module: Any) -> None:
    """The first error of a call is raised, as with joblib's own backends, and the block goes on with new calls."""
    with joblib.parallel_config("podtask", n_jobs=2, local=True):
        with pytest.raises(ValueError, match="3 is odd"):
            joblib.Parallel()(joblib.delayed(own_module.fail)(x) for x in range(30))
        assert [each for each in all_handles() if not each.done()] == []
        assert joblib.Parallel()(joblib.delayed(own_module.fail)(x) for x in (1, 2)) == [1, 2]


@pytest.mark.feature("N22")
def test_managed_parallel_and_generators(own_module: Any) -> None:
    """A Parallel in a with block keeps its workers between two calls; results can be taken one by one."""
    with joblib.parallel_config("podtask", n_jobs=2, local=True):
        with joblib.Parallel() as parallel:
            first, second = (parallel(joblib.delayed(own_module.where)(x) for x in range(9)) for _ in "ab")
        assert len({pid for _, pid in [*first, *second]}) <= 2
        stream = joblib.Parallel(return_as="generator")(joblib.delayed(own_module.fail)(x) for x in range(3))
        assert list(stream) == [0, 1, 2]
    assert [each for each in all_handles() if not each.done()] == []


@pytest.mark.feature("N22")
def test_wrong_options_are_refused_where_they_are_written(own_module: Any) -> None:
    """An unknown option and 65 workers are errors; one job runs in the notebook, as with all backends."""
    with pytest.raises(InputError, match="Unknown option"):
        joblib.parallel_config("podtask", memroy="1Gi")
    with joblib.parallel_config("podtask", local=True):
        with pytest.raises(InputError, match="n_jobs=65 is more than"):
            joblib.Parallel(n_jobs=65)(joblib.delayed(abs)(x) for x in range(3))
        assert joblib.effective_n_jobs(-1) == 16
        ((_, pid),) = joblib.Parallel(n_jobs=1)([joblib.delayed(own_module.where)(0)])
        assert pid == os.getpid()


@pytest.mark.feature("N22")
@pytest.mark.parametrize("imports", [ONE_WAY, OTHER_WAY])
def test_importing_both_is_enough(imports: str) -> None:
    """The backend is there in whatever order the two are imported; podtask alone does not import joblib."""
    source = (
        f"import sys\n{imports}\n"
        "with joblib.parallel_config('podtask', n_jobs=2, local=True):\n"
        "    print(joblib.Parallel()(joblib.delayed(pow)(x, 2) for x in range(4)))\n"
        "import joblib.parallel as module\nprint(type(module.__spec__.loader).__name__)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.stderr) == ("[0, 1, 4, 9]\nSourceFileLoader\n", "")


@pytest.mark.feature("N22")
def test_functions_of_the_notebook_run(shell: Shell) -> None:
    """Functions and classes of the notebook come with the calls that need them."""
    shell.run(
        "import joblib, podtask\nfactor = 3\nclass Point:\n    def __init__(self, x): self.x = x\n"
        "def scale(point): return Point(point.x * factor)\n"
        "with joblib.parallel_config('podtask', n_jobs=2, local=True):\n"
        "    points = joblib.Parallel()(joblib.delayed(scale)(Point(x)) for x in range(4))\n"
        "found = [each.x for each in points], {type(each) is Point for each in points}\n"
    )
    assert shell["found"] == ([0, 3, 6, 9], {True})
