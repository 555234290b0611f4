"""Inputs that a cell changes in place are named, or come back with ``-o auto``."""

from __future__ import annotations

import pytest

from tests.notebook import Shell

LOCAL = "%%podtask --local"


@pytest.mark.feature("N06")
def test_inputs_changed_in_place_are_named(shell: Shell) -> None:
    """The closing line names exactly the inputs that were changed in place."""
    shell.run("rows, d, same, n = [], {}, [1], 5\nclass A: pass\na = A()")
    _, err = shell.output(f"{LOCAL}\nrows.append(1); d['a'] = 1; a.x = same[0] + n")
    assert "changed in the process: a, d, rows; -o brings them back" in err
    assert (shell["rows"], shell["d"]) == ([], {})


@pytest.mark.feature("N06")
def test_auto_brings_changed_inputs_back(shell: Shell) -> None:
    """With -o auto, the notebook has the same values as after a run in the kernel."""
    shell.run("rows, d, same = [], {}, [1]\nbefore = same")
    _, err = shell.output(f"{LOCAL} -o auto\nrows.append(same[0]); d['a'] = rows")
    assert "changed in the process" not in err
    assert shell["rows"] == [1]
    assert shell["d"]["a"] is shell["rows"]
    assert shell["same"] is shell["before"]


def test_auto_brings_back_a_new_object_at_an_old_address(shell: Shell) -> None:
    """A new object at the address of a deleted one is still reported."""
    for _ in range(3):
        shell.run("x = [1]")
        shell.run(f"{LOCAL} -o auto\ndel x\nx = [2]")
        assert shell["x"] == [2]


def test_change_that_cannot_be_sent_is_reported(shell: Shell) -> None:
    """An input that can no longer be pickled counts as changed."""
    shell.run("d = {}")
    _, err = shell.output(f"{LOCAL}\nimport threading\nd['lock'] = threading.Lock()")
    assert "changed in the process: d; -o brings it back" in err


CACHES = {
    # As networkx keeps its views.
    "cached_property": (
        "import functools\nclass Graph:\n    def __init__(self): self._adj = {1: {}}\n"
        "    @functools.cached_property\n    def adj(self): return [*self._adj]\n",
        "a.adj",
        "a._adj[2] = {}",
    ),
    "an attribute named cache": (
        "class Graph:\n    def __init__(self): self.n, self.__dict__['__networkx_cache__'] = 1, {}\n"
        "    def read(self): self.__dict__['__networkx_cache__']['n'] = self.n\n",
        "a.read()",
        "a.n = 2",
    ),
    # As xarray does.
    "a slot": (
        "class Array:\n    __slots__ = ('_cache', 'n')\n    def __init__(self): self.n, self._cache = 1, None\n"
        "    def read(self): self._cache = {'n': self.n}\nGraph = Array\n",
        "a.read()",
        "a.n = 2",
    ),
    # As werkzeug and others do.
    "a property of a library": (
        "class Once:\n    def __init__(self, f): self.f = f\n"
        "    def __get__(self, obj, kind): return obj.__dict__.setdefault(self.f.__name__, self.f(obj))\n"
        "class Graph:\n    n = 1\n    @Once\n    def adj(self): return self.n\n",
        "a.adj",
        "a.n = 2",
    ),
}


@pytest.mark.parametrize("kind", CACHES)
def test_caches_are_no_changes(shell: Shell, kind: str) -> None:
    """J2: reading a value may fill its caches, which is not reported; a change beside them is."""
    setup, read, change = CACHES[kind]
    shell.run(f"{setup}a = Graph()\nheld = [Graph()]")
    _, err = shell.output(f"{LOCAL}\n{read}\n{read.replace('a.', 'held[0].', 1)}\nheld\nNone")
    assert "changed in the process" not in err
    _, err = shell.output(f"{LOCAL}\n{read}\n{change}")
    assert "changed in the process: a;" in err


LIBRARIES = {
    "networkx": (
        "a = networkx.path_graph(4)",
        "a.adj; a.degree; a.edges; a.nodes; networkx.density(a); networkx.shortest_path(a, 0, 3)",
        "a.add_edge(0, 3)",
    ),
    "xarray": (
        "a = xarray.Dataset({'t': ('x', [1.0, 2.0])}, {'x': [3, 4]})",
        "a.t.mean(); a.sizes; a.sel(x=3); a.indexes; a.t.x.values; repr(a)",
        "a['t'] = a.t + 1",
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_values_of_libraries_that_are_only_read_are_not_changed(shell: Shell, library: str) -> None:
    """J2: graphs of networkx and datasets of xarray are reported only if the cell changes them."""
    pytest.importorskip(library)
    setup, read, change = LIBRARIES[library]
    shell.run(f"import {library}\n{setup}")
    _, err = shell.output(f"{LOCAL}\nimport {library}\n{read}\nNone")
    assert "changed in the process" not in err
    _, err = shell.output(f"{LOCAL}\n{change}\nNone")
    assert "changed in the process: a;" in err


def test_columns_that_are_only_read_are_not_changed(shell: Shell) -> None:
    """J2: columns of periods, intervals and categories of pandas are not reported when they are read."""
    pytest.importorskip("pandas")
    shell.run(
        "import pandas as pd\n"
        "df = pd.DataFrame({'p': pd.period_range('2024-01', periods=3, freq='M'), 'iv': pd.interval_range(0, 3),"
        " 'c': pd.Categorical(['a', 'b', 'a'])})\nperiods, spans = df['p'], pd.interval_range(0, 3)"
    )
    _, err = shell.output(
        f"{LOCAL}\ndf['p'].dt.year; df['iv'].array.mid; df.groupby('c', observed=True).size(); repr(df)\n"
        "periods.dt.to_timestamp(); spans.is_overlapping; spans.get_loc(1); df.set_index('p').index.is_unique\nNone"
    )
    assert "changed in the process" not in err


def test_method_of_an_instance_is_a_change(shell: Shell) -> None:
    """A function that is assigned to an instance in place of a method is a change, not a cache."""
    shell.run("class A:\n    def f(self): return 1\na = A()")
    _, err = shell.output(f"{LOCAL}\na.f = len")
    assert "changed in the process: a;" in err
