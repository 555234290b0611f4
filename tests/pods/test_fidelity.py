"""Functions, values and errors survive the transfer to a pod and back, also between Python versions."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from podtask.errors import InputError
from podtask.lifecycle.prepare import PreparedCell

from tests.notebook import Kernel, Shell

pytestmark = pytest.mark.cluster
START = Callable[..., Kernel]
BARE = "python:3.11-slim"
TASKS = f"""
import asyncio, os, podtask
@podtask.task(image="{BARE}")
def scaled(a: int, b: "int | None" = None, *rest, scale: float = 1.0, **more):
    return os.uname().nodename, None if b is None else (a + b + sum(rest)) * scale, more
@podtask.task(image="{BARE}")
def outer(x):
    return os.uname().nodename, scaled(x, b=1)
@podtask.task(image="{BARE}")
async def later(x):
    await asyncio.sleep(0)
    return x
"""


@pytest.mark.feature("P01", "A35", "B24", "A34", "A33", "P02")
def test_tasks_are_plain_functions_in_a_pod(pods: Shell) -> None:
    """In a pod, a task in a task is a plain call: defaults, keywords, None, async def and .map work."""
    pods.run(TASKS)
    pods.run("first, none, more = scaled(1, word='x')")
    assert pods["first"].startswith("podtask-")
    assert (pods["none"], pods["more"]) == (None, {"word": "x"})
    pods.run("task = outer.submit(2)\nhere, (there, value, _) = task.result(60)\nstate = task.done()")
    assert pods["here"] == pods["there"] != pods["first"]
    assert (pods["value"], pods["state"]) == (3.0, True)
    pods.run("many = later.map([3, [4], None], max_parallel=3)")
    assert pods["many"] == [3, [4], None]
    pods.run("got = scaled.local(1, 2, 3, scale=2)[1]")
    assert pods["got"] == 12


def test_other_task_has_its_methods_in_a_bare_image(pods: Shell) -> None:
    """In a pod, local and map run in place, and submit fails; a result that cannot return is an error."""
    pods.run(
        f"""
import os, podtask
@podtask.task(image="{BARE}")
def there(x):
    return os.uname().nodename, x
@podtask.task(image="{BARE}")
def asks(x):
    try:
        there.submit(x)
    except RuntimeError as error:
        return os.uname().nodename, there.local(x), there.map([1, 2]), str(error)
@podtask.task(image="{BARE}")
def counting(last):
    return (number for number in range(last))
here, local, mapped, said = asks(7)
"""
    )
    pod = pods["here"]
    assert (pods["local"], pods["mapped"]) == ((pod, 7), [(pod, 1), (pod, 2)])
    assert pods["said"].startswith("there.submit works only in the notebook")
    assert "The return value of counting (generator) was not returned" in pods.shown_error("counting(3)")


@pytest.mark.feature("A36", "S07", "N06")
def test_values_go_and_come_with_a_manifest(pods: Shell) -> None:
    """Results are shown and assigned; one line lists the values sent, returned and kept in the pod."""
    pods.run(
        "class Point:\n    def __init__(self, x): self.x = x\n"
        "    def __repr__(self): return f'Point({self.x})'\n"
        "shared = [1]\none, two, big = {'s': shared}, {'s': shared}, bytes(3 << 20)\nfactor = 1\n"
        "def grow(n):\n    global factor\n    factor += n\n    return factor"
    )
    _, err = pods.output(
        f"%%podtask --image {BARE} -o one,two,point,grown\none['s'].append(len(two) * len(big))\n"
        "factor = 5\ngrown = grow(2) == factor == 7\npoint, aside = Point(3), 'left'\n"
        "import threading\nlock = threading.Lock()\npoint"
    )
    assert repr(pods["_"]) == "Point(3)"
    assert pods["_"] is pods["point"]
    assert type(pods["point"]) is pods["Point"]
    assert pods["one"]["s"] is pods["two"]["s"]
    assert pods["one"]["s"] == [1, 3 << 20]
    assert pods["grown"] is True
    assert "in: big (bytes, 3 MiB) · " in err
    assert "back: " in err
    assert "point" in err.partition("back: ")[2].partition(" · ")[0]
    assert "not brought back: factor, aside, lock" in err
    pods.run(f"%%podtask --image {BARE}\nNone")
    with pytest.raises(InputError, match=r"Line 3 of the cell: held\['l'\] \(lock\) cannot be sent"):
        pods.run(
            f"import threading\nheld = {{'l': threading.Lock()}}\nget_ipython().run_cell_magic("
            f"'podtask', '--image {BARE}', 'x = 1\\nheld')"
        )


@pytest.mark.feature("N07", "S01")
def test_error_of_a_pod_is_the_cells_own(pods: Shell) -> None:
    """Errors keep type, cause and lines of cell and function; the last line names pod and container."""
    pods.run("class Bad(ValueError):\n    pass\ndef check(n):\n    if n:\n        raise Bad('no', n)")
    shown = pods.shown_error(
        f"%%podtask --image {BARE}\ntry:\n    check(1)\nexcept Bad as error:\n    raise KeyError('k') from error"
    )
    assert "----> 3     check(1)" in shown
    assert re.search(r"----> 5 +raise Bad\('no', n\)", shown)
    assert "direct cause" in shown
    assert re.search(r"^KeyError: 'k'\nin pod podtask-\w+, container primary$", shown, re.MULTILINE)
    source = f"%%podtask --image {BARE}\nraise Bad('no', 7)"
    error: Any = pods.ip.run_cell(source, store_history=True).error_in_exec
    assert type(error) is pods["Bad"]
    assert error.args == ("no", 7)


@pytest.mark.feature("S06", "N05")
@pytest.mark.parametrize("minor", ["3.9", "3.13"])
@pytest.mark.fault(14)
def test_value_that_another_python_cannot_load_is_named(pods: Shell, minor: str) -> None:
    """Another Python gets definitions as source and values as data; a function without source is rejected."""
    pods.run(
        "def make(k):\n    def inner(x): return x * k\n    return inner\ndouble = make(2)\n"
        "class Pair:\n    def __init__(self, *both): self.both = both\npair = Pair(1, 'two')"
    )
    pods.run(f"%%podtask --image python:{minor}-slim -o back\nback = pair.both, make(3)(4), double(4)")
    assert pods["back"] == ((1, "two"), 12, 8)
    pods.run("exec('def hidden(x): return x')")
    with pytest.raises(InputError, match=rf"hidden cannot be sent from Python 3.\d+ to {minor}"):
        pods.run(f"%%podtask --image python:{minor}-slim\nhidden(4)")


@pytest.mark.feature("N16")
def test_local_runner_and_pod_receive_the_same_bytes(pods: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local runner receives the same bytes as a pod."""
    pods.run("data = {'n': [1, 2]}\ndef total(d): return sum(d['n'])")
    sent = []
    monkeypatch.setattr(PreparedCell, "without_values", lambda prepared: prepared)  # keep the inputs
    for flags in ("--local", f"--image {BARE}"):
        pods.run(f"%%podtask {flags} -o found\nfound = total(data)")
        assert pods["found"] == 3
        sent.append(pickle.dumps(pods["_task"]._follower.launcher._prepared.inputs))
    assert sent[0]
    assert sent[0] == sent[1]


@pytest.mark.feature("N01")
def test_figures_tables_and_bars_from_a_pod(start_kernel: START) -> None:
    """Figures, data frames and progress bars look as in the kernel."""
    kernel = start_kernel()
    ran = kernel.run(
        "%%podtask --image science:3.11\nimport matplotlib.pyplot as plt, pandas as pd\n"
        "from tqdm.auto import tqdm\nfor n in tqdm(range(3)):\n    pass\n"
        "plt.plot([1, 2])\nprint('between')\npd.DataFrame({'a': [1]})"
    )
    assert ran.error is None
    assert ran.result is not None
    assert "<table" in ran.result["text/html"]
    assert [1 for each in ran.displays if "image/png" in each] == [1]
    assert "\r" in ran.stderr
    assert "3/3" in ran.stderr


@pytest.mark.feature("N01")
@pytest.mark.fault(47)
def test_flood_from_a_pod(start_kernel: START) -> None:
    """Of 50 MB of output, the notebook shows the first and last lines; task.logs() returns all of it."""
    kernel = start_kernel()
    flood = kernel.run(
        f"%%podtask --image {BARE}\nfor n in range(50_000):\n    print(f'{{n:0999d}}')\nprint('last')"
    )
    assert flood.stdout.startswith(f"{0:0999d}\n")
    assert flood.stdout.endswith("last\n")
    assert len(flood.stdout) < 2 << 20
    assert kernel.run("print(len(_task.logs()))").stdout == f"{50_000_000 + 5}\n"


def test_lines_of_the_pods_libraries(pods: Shell) -> None:
    """A traceback has the lines of libraries that the notebook lacks, and of the pod's version of Python."""
    shown = pods.shown_error(
        """%%podtask --image python:3.9-slim
import json, pathlib, sys
pathlib.Path("/tmp/only_in_the_pod.py").write_text("def half(rows):\\n    rows = rows or None\\n    return rows / 2\\n")
sys.path.insert(0, "/tmp")
import only_in_the_pod
try:
    json.loads("[")
except ValueError:
    only_in_the_pod.half([])"""
    )
    assert re.search(r"File pod:\S+/python3\.9/json/decoder\.py:355", shown)
    assert re.search(r'--> 355 +raise JSONDecodeError\("Expecting value", s, err.value\) from None', shown)
    assert "File pod:/tmp/only_in_the_pod.py:3, in half(rows)" in shown
    assert re.search(r"2 +rows = rows or None\n-+> 3 +return rows / 2", shown)


def test_c6_missing_environment_variable_has_a_hint(pods: Shell) -> None:
    """C6: a variable that an earlier cell has set is not sent; the error names the option that sends it."""
    pods.run("import os; os.environ['PODTEST_REGION'] = 'eu-secret'")
    shown = pods.shown_error(f"%%podtask --image {BARE}\nimport os\nos.environ['PODTEST_REGION']")
    assert "--env PODTEST_REGION" in shown
    assert "eu-secret" not in shown
    out, _ = pods.output(
        f"%%podtask --image {BARE} --env PODTEST_REGION\nimport os\nprint(os.environ['PODTEST_REGION'])"
    )
    assert "eu-secret" in out
    pods.run("del os.environ['PODTEST_REGION']")


def test_c2_to_c4_state_of_libraries_in_a_bare_image(pods: Shell) -> None:
    """C2, C3, C4: state of libraries arrives in an image that lacks some of them, and nothing fails."""
    pods.run(
        "import decimal, logging, random, sys\nlogging.getLogger('pods_test').addHandler(logging.StreamHandler(sys.__stdout__))\n"
        "logging.getLogger('pods_test').setLevel('INFO')\ndecimal.getcontext().prec = 4\nrandom.seed(11)\n"
        "wanted = random.random(); random.seed(11)\nimport numpy\nnumpy.set_printoptions(precision=1)"
    )
    source = (
        "import logging, random\nfrom decimal import Decimal\nlogging.getLogger('pods_test').info('hello')\n"
        "found = random.random(), str(Decimal(1) / 3)"
    )
    out, _ = pods.output(f"%%podtask --image {BARE} -o found\n{source}")
    pods.run("logging.getLogger('pods_test').handlers.clear()\nnumpy.set_printoptions(precision=8)")
    pods.run("decimal.setcontext(decimal.Context())")
    assert "hello" in out
    assert pods["found"] == (pods["wanted"], "0.3333")
