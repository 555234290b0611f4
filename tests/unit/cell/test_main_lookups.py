"""Variables that libraries find in ``__main__`` by themselves (row G3)."""

from __future__ import annotations

import ast
import contextlib
import linecache
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.cell.main_lookups import NOTHING, MainLookups, main_lookups

SETUP = '''
import doctest, inspect, sys, threading, typing, unittest
import unittest as ut
from doctest import testmod as check

FACTOR, LIMIT = 2, 3
lock = threading.Lock()

def double(x: "Number") -> "list[Number]":
    """
    >>> double(half(LIMIT))
    3.0
    """
    return FACTOR * x

def half(x):
    return x / 2

class Number:
    """No example."""
    next: typing.Optional["Number"] = None

    @property
    def size(self):
        """>>> FACTOR
        2
        """

class TestDouble(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(1), 2)

def setUpModule():
    pass

def suite():
    return unittest.defaultTestLoader.loadTestsFromTestCase(TestDouble)

def run_tests():
    ut.main(argv=[""], exit=False)

def main():
    return 1

def is_set(name):
    return name in globals() or "LIMIT" in globals()
'''


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    """The namespace of a notebook that has run one cell."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    linecache.cache["<main-lookups>"] = (len(SETUP), None, SETUP.splitlines(keepends=True), "<main-lookups>")
    exec(compile(SETUP, "<main-lookups>", "exec", dont_inherit=True), namespace)
    return namespace


def lookups(source: str, namespace: dict[str, Any]) -> MainLookups:
    """Return the lookups of a cell."""
    return main_lookups(source, Cell.of(source).reads, namespace)


TESTS = {"TestDouble", "setUpModule"}
EXAMPLES = {"double", "half", "Number", "FACTOR", "LIMIT"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('unittest.main(argv=[""], exit=False)', TESTS),
        ('import unittest\nunittest.main(argv=["", "-v"], exit=False)', TESTS),
        ('from unittest import main as go\ngo(argv=[""], exit=False)', TESTS),
        ('ut.main(argv=[""], exit=False, defaultTest="suite")', {*TESTS, "suite"}),
        ("loader = ut.TestLoader()\nloader.loadTestsFromModule(sys.modules['__main__'])", TESTS),
        ("loader = ut.TestLoader()\nloader.loadTestsFromName('__main__.suite')", {*TESTS, "suite"}),
        ("run_tests()", TESTS),
        ("import ipytest\nipytest.run()", TESTS),
        ("import ipytest\nipytest.run('-q')", TESTS),
        ("doctest.testmod()", EXAMPLES),
        ("check(verbose=True)", EXAMPLES),
        ("import doctest\ndoctest.testmod(sys.modules[__name__])", EXAMPLES),
        ("doctest.run_docstring_examples(double, globals())", {"half", "LIMIT"}),
        ('import doctest\ndef f():\n    """>>> half(2)\n    1.0"""\ndoctest.testmod()', EXAMPLES),
        ("typing.get_type_hints(double)", {"Number"}),
        ('def g(x: "Number"): ...\ntyping.get_type_hints(g)', {"Number"}),
        ("inspect.signature(double, eval_str=True)", {"Number"}),
        ("import __main__\n__main__.half(3)", {"half"}),
        ("getattr(sys.modules['__main__'], 'FACTOR')", {"FACTOR"}),
    ],
)
def test_g3_names_in_main(source: str, found: set[str], notebook: dict[str, Any]) -> None:
    """G3: what a call looks for in ``__main__`` is found, under whatever name the cell calls it."""
    assert {*lookups(source, notebook).needed} == found - {*Cell.of(source).reads}


@pytest.mark.parametrize(
    "source",
    [
        "half(3)",
        "main()",
        "import unittest\ndef f(x): return unittest.mock.patch(x)",
        "if __name__ == '__main__':\n    main()",
        "doctest.testmod(json)\nimport json",
        "text = 'unittest.main()'",
        "doctest.testmod(",
    ],
)
def test_g3_other_cells_send_nothing_more(source: str, notebook: dict[str, Any]) -> None:
    """G3: a cell without such a call, or with one for another module, sends what it names."""
    reads: tuple[str, ...] = ()
    with contextlib.suppress(SyntaxError):
        reads = Cell.of(source).reads
    assert main_lookups(source, reads, notebook) == NOTHING


def test_g3_members(notebook: dict[str, Any]) -> None:
    """G3: a list of members has all definitions and plain values, and the rest is named."""
    found = lookups("inspect.getmembers(sys.modules['__main__'])", notebook)
    assert {"half", "Number", "TestDouble", "FACTOR"} <= {*found.members}
    assert {"lock", "check"} == {*found.left_out}
    found = lookups("import threading\n[n for n in dir(sys.modules[__name__])]", notebook)
    assert "lock" not in found.members  # its type is _thread.lock
    assert found.without(lambda name: name != "half").members == ("half",)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if 'FACTOR' not in globals():\n    FACTOR = 1", {"FACTOR"}),
        ("globals().get('LIMIT'), 'lock' in dir(), locals()['half']", {"LIMIT", "lock"}),
        ("all(name in vars() for name in ('LIMIT', 'lock', 'none'))", {"LIMIT", "lock"}),
        ("is_set('x')", {"LIMIT"}),
        ("def f():\n    return 'LIMIT' in locals(), 'FACTOR' in globals()", {"FACTOR"}),
        ("globals()['LIMIT'] = 'half'", set()),
        ("'LIMIT' in vars(half), 'LIMIT' in {}.get('half')", set()),
    ],
)
def test_g2_names_that_are_checked(source: str, found: set[str], notebook: dict[str, Any]) -> None:
    """G2: variables that a cell looks up in ``globals()`` are found; the cell can do without them."""
    seen = lookups(source, notebook)
    assert {*seen.checked} == found
    assert not {*seen.needed, *seen.members, *seen.left_out}


def test_g3_a_plain_cell_pays_nothing(notebook: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """G3: a cell without such a call is not parsed for it, nor are the functions that it calls."""
    source = "\n".join(f"value_{n} = half({n})" for n in range(100))
    parse, parsed = ast.parse, []

    def note(text: Any, *args: Any, **kwargs: Any) -> Any:
        parsed.append(text)
        return parse(text, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", note)
        assert main_lookups(source, ("half", "double"), notebook) == NOTHING
        assert parsed == []
        main_lookups(f"{source}\ncheck()", ("half", "check"), notebook)
    assert f"{source}\ncheck()" in parsed
