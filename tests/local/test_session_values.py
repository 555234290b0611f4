"""Notebook and session share names as in one kernel: the side counts which has set a name last."""

from __future__ import annotations

from collections.abc import Iterator

import podtask
import pytest
from podtask.sessions import bindings, registry

from tests.notebook import Kernel, Shell


@pytest.fixture(autouse=True)
def ended_sessions() -> Iterator[None]:
    """End the sessions of the test's process, and forget them."""
    yield
    for session in registry.open_sessions():
        session.end()
    registry._sessions.clear()
    bindings.stop_log()


def cell(source: str, flags: str = "") -> str:
    """Return a cell of the session."""
    return f"%%podtask --local --session gpu {flags}\n{source}"


# Each line is a cell: of the notebook, or after ">" of the session, with flags in brackets. After "->" is the last line
# that it prints, after "!" a part of its error.
SCENARIOS = {
    "objects that are shared": """
        a = [1]; b = a
        > print(a is b) -> True
        a.append(2)
        > print(a) -> [1, 2]
        > print(a is b, b) -> True [1, 2]
    """,
    "a global of a function": """
        rate = 2
        f = lambda x: rate * x
        > print(f(10)) -> 20
        rate = 3
        > print(f(10)) -> 30
    """,
    "a default of a function": """
        f = lambda x, seen=[]: seen.append(x) or len(seen)
        > print(f(1)) -> 1
        f(1)
        > print(f(1)) ! A call that changes a default argument or an attribute changes its function.
        > [--theirs f] print(f(1)) -> 2
    """,
    "a frame": """
        import pandas as pd; df = pd.DataFrame({'a': [1, 2]})
        > df['p'] = 3
        total = df.sum()
        > print([*df]) -> ['a', 'p']
        df.loc[0] = 9
        > df ! df is DataFrame (2 x 1) in the notebook and DataFrame (2 x 2) in session gpu
        > [-i df] print([*df]) -> ['a']
    """,
    "an attribute of a module": """
        import string
        > string.tau = 6
        > print(string.tau) -> 6
        string.tau = 7
        > print(string.tau) -> 6
        del string.tau
    """,
    "a class that is defined again": """
        class P: rate = 1
        p = P()
        > print(p.rate, isinstance(p, P)) -> 1 True
        P.rate = 2
        > print(p.rate, isinstance(p, P)) -> 2 True
        class P: rate = 3
        > print(p.rate, isinstance(p, P)) -> 2 False
    """,
    "deleted names": """
        z, w = [1], [2]
        > print(z, w) -> [1] [2]
        del z
        > del w
        > print(z, w) -> [1] [2]
    """,
    "a name that has come back": """
        > [-o m] m = [1]
        m.append(3)
        > print(m) -> [1, 3]
        > m.append(4)
        m.append(5)
        > print(m) ! m is list (3 items) in the notebook and list (3 items) in session gpu
    """,
    "a generator": """
        gen = (n for n in [1])
        > next(gen) ! gen (generator) cannot be sent
        > gen = (n for n in [5])
        > print(next(gen)) -> 5
    """,
    "one item of a large array": """
        import numpy as np; x = np.zeros(2_000_000)
        > print(x.sum()) -> 0.0
        x[1_234_567] = 1
        > print(x.sum()) -> 1.0
    """,
    "a generator of random numbers": """
        import random; rng = random.Random(0)
        > first = rng.random()
        number = rng.random()
        > rng.random() ! rng is Random in the notebook and Random in session gpu
        > [-i rng] print(rng.random() == first) -> False
    """,
    "a name that is bound again to what it was": """
        x = 0
        > x = 5
        > print(x) -> 5
        x = 0
        > print(x) -> 0
    """,
    "a value that the session asks for": """
        x = bytearray(2_000_000)
        > x[0] = 1
        x = bytearray(2_000_000)
        > print(x[0]) -> 0
    """,
}


@pytest.mark.feature("N12")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(shell: Shell, scenario: str) -> None:
    """Each cell prints what it prints in one kernel, or names the conflict and runs nothing."""
    for number, line in enumerate(SCENARIOS[scenario].strip().splitlines()):
        text, _, error = line.strip().partition(" ! ")
        text, _, expected = text.partition(" -> ")
        if text.startswith("> "):
            flags, _, source = text[2:].rpartition("] ") if text.startswith("> [-") else ("", "", text[2:])
            text = cell(source, flags.removeprefix("["))
        if error:
            with pytest.raises(podtask.InputError) as caught:
                shell.run(text)
            assert error in caught.value.message, f"cell {number}"
            continue
        out, _ = shell.output(text)
        if expected:
            assert out.splitlines()[-1] == expected, f"cell {number}"


@pytest.mark.feature("N12")
def test_replaced_value_is_named(shell: Shell) -> None:
    """A line says that the notebook's value has replaced what the session had set."""
    shell.run("x = 0")
    shell.run(cell("x = 5"))
    shell.run("x = 0")
    out, err = shell.output(cell("x"))
    line = "x: set here after the session had changed it; the notebook's 0 replaces the session's 5."
    assert line in out + err


def test_names_again_after_a_crash(shell: Shell) -> None:
    """What a new process of the session lacks is sent again, also what a function needs."""
    shell.run("n = 3\ndef f(): return n")
    assert shell.run(cell("f()")) == 3
    shell.shown_error(cell("import os\nos._exit(1)"))
    assert shell.run(cell("f()")) == 3


def test_detached_cells(shell: Shell) -> None:
    """A queue of cells gets each value once; what one has changed, the next one finds."""
    shell.run("x = [1]")
    shell.run(cell("x.append(2)", "-d --as first"))
    shell.run(cell("x.append(3)", "-d --as second"))
    assert shell.run(cell("x")) == [1, 2, 3]


def test_functions_and_values_in_python(shell: Shell) -> None:
    """``put`` and ``run`` set what the session has; the notebook's variable of the name is not changed by it."""
    shell.run("import podtask\ns = podtask.session('gpu', local=True)\nrate = 2\ndef f(x): return rate * x")
    assert shell.run("s.run(f, 4)") == 8
    shell.run("rate = 3")
    assert shell.run("s.run(f, 4)") == 12
    shell.run("table = 'mine'\ns.put(table='theirs')")
    assert shell.run(cell("table")) == "theirs"
    shell.run("table = 'mine'")
    assert shell.run(cell("table")) == "mine"
    assert shell.run("s.get('table')") == "mine"


@pytest.mark.feature("N12")
def test_run_all_twice(kernel: Kernel) -> None:
    """All cells of a notebook run again in a real kernel end in no error and print the same."""
    cells = [
        "import random\nmodel, log, rate = None, [], 2\ndef f(x, seen=[]): return rate * x",
        cell("model = [f(1)]; log.append(1); print(model)"),
        "rate = 3\nfor i in range(3): pass",
        cell("for i in range(3): log.append(f(i))\nprint(log, i)", "-o log"),
        "print(log)",
    ]
    for _ in range(2):
        printed = [kernel.run(each).stdout for each in cells]
        assert printed == ["", "[2]\n", "", "[1, 0, 3, 6] 2\n", "[1, 0, 3, 6]\n"]


def test_unloaded_extension_follows_no_cells(shell: Shell) -> None:
    """Without a session, and when the extension is unloaded, nothing of it is in IPython."""
    before = [*shell.ip.ast_transformers], len(shell.ip.events.callbacks["pre_execute"])
    shell.run(cell("1"))
    assert len(shell.ip.ast_transformers) == len(before[0]) + 1
    shell.ip.run_line_magic("unload_ext", "podtask")
    assert (shell.ip.ast_transformers, len(shell.ip.events.callbacks["pre_execute"])) == before
