"""Objects of libraries that travel by their settings and content, with and without cloudpickle."""

from __future__ import annotations

import array
import asyncio
import contextlib
import io
import struct
import sys
import types
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podtask.pickling.inputs import pack_inputs
from podtask.runner.bundle import MINOR

from tests.unit.packing import OTHER, remote

PYTHONS = pytest.mark.parametrize("python", [MINOR, OTHER])


@PYTHONS
@pytest.mark.parametrize(
    ("made", "cell"),
    [
        (
            "Queue(3); x.put_nowait('a'); x.put_nowait('b')",
            "await x.put('c'), await x.get(), x.qsize(), x.full(), x.maxsize",
        ),
        (
            "PriorityQueue(); [x.put_nowait(n) for n in (3, 1, 2)]",
            "[await x.get() for _ in range(3)], x.empty()",
        ),
        ("LifoQueue(); x.put_nowait(1); x.put_nowait(2)", "await x.get(), x.task_done(), x.qsize()"),
        ("Event(); x.set()", "await x.wait(), x.is_set()"),
        ("Lock()", "await x.acquire(), x.locked()"),
        ("Semaphore(2)", "await x.acquire(), await x.acquire(), x.locked()"),
        ("BoundedSemaphore(1)", "await x.acquire(), x.release(), x.locked(), x._bound_value"),
        ("Condition()", "await x.acquire(), x.notify(), x.locked()"),
    ],
)
def test_h_queues_and_locks_of_asyncio(python: str, made: str, cell: str) -> None:
    """H: an object of asyncio has its content, and no other attributes, from the notebook's Python."""
    source = f"import asyncio\nasync def main(): return ({cell})\n"
    namespace: dict[str, Any] = {}
    exec(f"{source}x = asyncio.{made}", namespace)
    inputs = pack_inputs({"x": namespace["x"]}, namespace, python)
    found = remote(inputs, f"{source}print(asyncio.run(main()), sorted(vars(x)) == sorted(vars(type(x)())))")
    assert found == f"{asyncio.run(namespace['main']())} True\n"


@PYTHONS
def test_h_a_condition_shares_its_lock(python: str) -> None:
    """H: an object that two others use is one object on the other side."""
    lock = asyncio.Lock()
    values = {"pair": [asyncio.Condition(lock), asyncio.Condition(lock), lock]}
    cell = "print(pair[0]._lock is pair[1]._lock is pair[2], pair[2].locked())"
    assert remote(pack_inputs(values, values, python), cell) == "True False\n"


@PYTHONS
def test_b_formats_of_struct(python: str) -> None:
    """B: a struct.Struct has its format on the other side."""
    values = {"header": struct.Struct("<hI")}
    found = remote(
        pack_inputs(values, values, python), "print(header.format, header.unpack(header.pack(1, 2)))"
    )
    assert found == "<hI (1, 2)\n"


@PYTHONS
def test_b_views(python: str) -> None:
    """B: views of dictionaries and bytes have the class, format, shape and content of the notebook's."""
    table = memoryview(array.array("d", [0.5, 1.5])).cast("B").cast("d", (2, 1))
    values = {"plain": types.MappingProxyType({"a": [1]}), "text": memoryview(b"abc")[1:], "table": table}
    cell = "print(type(plain), plain['a'], bytes(text), text.readonly, table.tolist(), table.format, table.readonly)"
    found = remote(pack_inputs(values, values, python), cell)
    assert found == "<class 'mappingproxy'> [1] b'bc' True [[0.5], [1.5]] d False\n"


def test_b_mocks() -> None:
    """B: a mock has its return values and the calls that it has recorded, also as a call of its own."""
    model = unittest.mock.MagicMock(name="model", **{"fit.return_value": 3})
    model.fit([1], rate=2)
    model.__len__.return_value = 4
    values: dict[str, Any] = {
        "model": model,
        "wanted": unittest.mock.call.fit([1], rate=2),
        "same": model.fit.call_args,
    }
    cell = "print(model.fit(0), len(model), model.mock_calls[0] == wanted, same, same.kwargs, wanted.parent)"
    found = remote(pack_inputs(values, values), cell)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(cell, values)
    assert found == printed.getvalue()


@pytest.fixture
def console() -> Iterator[Any]:
    """The module of consoles; the global console is not changed."""
    module: Any = pytest.importorskip("rich.console")
    rich: Any = sys.modules["rich"]
    before = rich._console
    yield module
    rich._console = before


@PYTHONS
@pytest.mark.parametrize(
    ("settings", "cell"),
    [
        ({"width": 33, "no_color": True, "soft_wrap": True}, "x.width, x.no_color, x.soft_wrap"),
        ({"stderr": True, "record": True, "markup": False}, "x.stderr, x.record, x.render_str('[b]a').plain"),
        ({"log_time": False, "log_path": False}, "x._log_render.show_time, x._log_render.show_path"),
        ({"file": sys.stderr, "style": "red"}, "x.file is __import__('sys').stderr, x.style"),
        ({"file": io.StringIO("text"), "tab_size": 2}, "x.file.getvalue(), x.tab_size"),
        ({"color_system": "256"}, "x.color_system"),
        ({"highlighter": None}, "x.highlighter('1 True').spans"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else "",
)
def test_i_consoles_of_rich(python: str, console: Any, settings: dict[str, Any], cell: str) -> None:
    """I: a console of the notebook has its settings on the other side, and locks of its own."""
    value = console.Console(**settings)
    inputs = pack_inputs({"x": value}, {"x": value}, python)
    assert remote(inputs, f"print({cell})") == f"{_printed(cell, value)}\n"


def _printed(cell: str, value: Any) -> str:
    return " ".join(map(str, eval(f"({cell},)", {"x": value})))


@PYTHONS
def test_i_theme_of_a_console(python: str, console: Any) -> None:
    """I: so are the styles of its theme, and what it has recorded."""
    theme: Any = pytest.importorskip("rich.theme")
    value = console.Console(theme=theme.Theme({"loud": "bold red"}), record=True, file=io.StringIO())
    value.print("[loud]said")
    inputs = pack_inputs({"x": value}, {"x": value}, python)
    cell = "print(x.get_style('loud'), x.get_style('repr.number'), x.export_text().strip())"
    assert remote(inputs, cell) == f"{value.get_style('loud')} {value.get_style('repr.number')} said\n"


@PYTHONS
def test_i_global_console_of_rich(python: str, console: Any) -> None:
    """I: rich's global console is that of the other side."""
    value = sys.modules["rich"].get_console()
    inputs = pack_inputs({"x": value}, {"x": value}, python)
    assert remote(inputs, "import rich\nprint(x is rich.get_console())") == "True\n"


WEAK = """
import weakref
class Node:
    def __init__(self, parent=None):
        self.children, self.parent = [], parent and weakref.ref(parent)
        if parent is not None:
            parent.children.append(self)
root = Node()
leaf = Node(Node(root))
gone = weakref.ref(Node())
"""


@PYTHONS
def test_b_weak_references(python: str, notebook: Callable[[str], dict[str, Any]]) -> None:
    """B: what a weak reference refers to lives in the pod, also if nothing else there refers to it."""
    namespace = notebook(WEAK)
    inputs = pack_inputs({name: namespace[name] for name in ("leaf", "gone")}, namespace, python)
    cell = "print(leaf.parent().parent().children[0] is leaf.parent(), leaf.parent().children[0] is leaf, gone())"
    assert remote(inputs, cell) == "True True None\n"


VARIABLES = """
import contextvars
plain, own, unset = (contextvars.ContextVar(name, **more) for name, more in
                     [("plain", {"default": [1]}), ("own", {}), ("unset", {})])
own.set("mine")
def found(): return [each.get("nothing") for each in (plain, own, unset)], plain.get() is plain.get()
"""


@PYTHONS
def test_b_variables_of_contextvars(python: str, notebook: Callable[[str], dict[str, Any]]) -> None:
    """B: variables have their default and the value of the notebook, and functions find it."""
    namespace = notebook(VARIABLES)
    names = ("plain", "own", "unset", "found")
    inputs = pack_inputs({name: namespace[name] for name in names}, namespace, python)
    cell = "print(found(), own.name)\ntry: unset.get()\nexcept LookupError: print('unset')"
    assert remote(inputs, cell) == "(['nothing', 'mine', 'nothing'], True) own\nunset\n"


@PYTHONS
def test_b_descriptors_that_extend_those_of_python(
    python: str, notebook: Callable[[str], dict[str, Any]]
) -> None:
    """B: a property or class method of an own class has its attributes; its constructor does not run again."""
    source = (
        "made = []\nclass field(property):\n    def __init__(self, get, *args):\n        made.append(1)\n"
    )
    source += "        super().__init__(get, *args)\n        self.label = get.__name__\n"
    source += "class maker(classmethod): note = 'n'\nclass A:\n    @field\n    def size(self): return 3\n"
    namespace = notebook(source + "    @maker\n    def make(cls): return cls()\nloose = vars(A)['size']\n")
    names = ("A", "made", "loose", "field", "maker")
    inputs = pack_inputs({name: namespace[name] for name in names}, namespace, python)
    cell = "print(A.make().size, loose.label, type(loose) is field, vars(A)['size'].label, len(made))"
    assert remote(inputs, cell) == "3 size True size 1\n"
