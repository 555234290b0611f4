"""Inputs and values: what is sent, how it is read on the other side, and what is refused."""

from __future__ import annotations

import collections.abc
import functools
import io
import json
import linecache
import math
import os.path
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podtask.errors import InputError
from podtask.pickles import Inputs, pack_inputs, select, unpack
from podtask.runner import pack

Notebook = Callable[[str], dict[str, Any]]
FILE = "<cell {}>"
# What the other side does, in a process of its own: definitions, inputs, then the cell.
REMOTE = """
import json, pickle, sys
definitions, size, cell = json.loads(sys.stdin.buffer.readline())
data = sys.stdin.buffer.read(size)
for source, filename in definitions:
    exec(compile(source, filename, "exec"))
if data:
    globals().update(pickle.loads(data))
exec(cell)
"""


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    """Runs cells as IPython does, each with its source in linecache; returns the namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    names: list[str] = []

    def run(source: str) -> dict[str, Any]:
        name = FILE.format(len(names) + 1)
        names.append(name)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), namespace)
        return namespace

    yield run
    for name in names:
        linecache.cache.pop(name, None)


def remote(inputs: Inputs, cell: str) -> str:
    """Returns what a cell prints in a fresh interpreter that is given these inputs."""
    head = json.dumps([inputs.definitions, len(inputs.data), cell]).encode() + b"\n"
    command = [sys.executable, "-c", REMOTE]
    done = subprocess.run(command, input=head + inputs.data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_what_the_cell_reads_is_selected() -> None:
    """Names that exist and are read are sent, in the order of the reads."""
    namespace = {"b": 2, "a": 1, "c": 3}
    assert list(select(["a", "b", "missing"], None, namespace).items()) == [("a", 1), ("b", 2)]


def test_what_belongs_to_the_notebook_never_travels() -> None:
    """History, the shell and special names stay, though the cell reads them."""
    names = ["In", "Out", "get_ipython", "exit", "quit", "display", "__name__", "__file__", "x"]
    assert select(names, None, dict.fromkeys(names, 1)) == {"x": 1}


def test_wanted_names_narrow_the_selection() -> None:
    """With -i just those names are sent, read or not."""
    assert select(["a"], ("b", "c"), {"a": 1, "b": 2, "c": None}) == {"b": 2, "c": None}
    assert select(["a"], (), {"a": 1}) == {}


def test_wanted_name_that_is_missing_is_an_error() -> None:
    """The first name that does not exist is named, with the flag."""
    with pytest.raises(InputError, match="-i nope: there is no such name"):
        select([], ("a", "nope"), {"a": 1})


@pytest.mark.parametrize(("same_minor", "mode"), [(True, "pickle"), (False, "data")])
def test_plain_values_come_back(same_minor: bool, mode: str) -> None:
    """Plain values are one pickle of names and values; what is shared stays shared."""
    one = [1, {"a": (2.5, b"x", None)}]
    inputs = pack_inputs({"one": one, "two": one, "text": "é"}, {}, same_minor)
    found = pickle.loads(inputs.data)
    assert found == {"one": one, "two": one, "text": "é"}
    assert found["one"] is found["two"]
    assert (inputs.mode, inputs.definitions) == (mode, ())
    types = {name: kind for name, (kind, _) in inputs.sizes.items()}
    assert types == {"one": "list", "two": "list", "text": "str"}


@pytest.mark.parametrize(("same_minor", "mode"), [(True, "pickle"), (False, "data")])
def test_no_inputs_are_no_bytes(same_minor: bool, mode: str) -> None:
    """Where nothing is read, nothing is pickled."""
    assert pack_inputs({}, {}, same_minor) == Inputs(b"", {}, mode, ())


def test_single_value_has_the_size_of_its_pickle() -> None:
    """The size of one value is what travels, not what it takes in memory."""
    inputs = pack_inputs({"x": list(range(1000))}, {}, same_minor=True)
    assert inputs.sizes == {"x": ("list", len(inputs.data))}


def test_functions_share_the_one_namespace(notebook: Notebook) -> None:
    """Functions see the cell's variables, and those that another function sets."""
    namespace = notebook(
        "factor = 2\n"
        "def scaled(x):\n    return x * factor\n"
        "def grow():\n    global factor\n    factor = factor + 1\n"
    )
    values = {name: namespace[name] for name in ("scaled", "grow")}
    inputs = pack_inputs(values, namespace, same_minor=True)
    cell = "print(scaled(10)); factor = 5; print(scaled(10)); grow(); print(scaled(10), factor)"
    assert remote(inputs, cell) == "20\n50\n60 6\n"
    assert namespace["factor"] == 2


def test_class_and_instance_keep_their_identity(notebook: Notebook) -> None:
    """An instance that travels with its class is of that class."""
    namespace = notebook("class Point:\n    def __init__(self):\n        self.x = 3\np = Point()\n")
    values = {name: namespace[name] for name in ("Point", "p")}
    inputs = pack_inputs(values, namespace, same_minor=True)
    assert remote(inputs, "print(type(p) is Point, p.x)") == "True 3\n"


@pytest.mark.parametrize("same_minor", [True, False])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(threading.Lock(), "lock"), (threading.local(), "_local"), ((n for n in ""), "generator")],
    ids=["lock", "local", "generator"],
)
def test_value_that_cannot_travel_is_named(same_minor: bool, value: Any, kind: str) -> None:
    """Of all values the one that cannot be pickled is named with its type."""
    with pytest.raises(InputError) as caught:
        pack_inputs({"fine": 1, "bad": value, "also": 2}, {}, same_minor)
    assert caught.value.what.startswith(f"bad ({kind}) cannot be sent: ")
    assert "-i" in caught.value.do


def test_inputs_over_the_limit_are_refused() -> None:
    """Over 256 MiB is an error that names the largest, with its size."""
    values = {"small": 1, "big": bytes(257 << 20)}
    with pytest.raises(InputError, match=r"257 MiB, over 256: big \(257 MiB\), small") as caught:
        pack_inputs(values, {}, same_minor=False)
    assert "-i" in caught.value.do


def test_function_for_another_minor_travels_as_source(notebook: Notebook) -> None:
    """A function goes as its source, with what it uses: functions, modules and data."""
    notebook("import math\nk = 2\n")
    notebook("def square(x):\n    return x * x * k\n")
    namespace = notebook("\n\ndef area(r):\n    return math.floor(math.pi * square(r))\n")
    inputs = pack_inputs({"area": namespace["area"]}, namespace, same_minor=False)
    assert inputs.definitions == (
        ("import importlib; math = importlib.import_module('math')", "<podtask imports>"),
        ("def square(x):\n    return x * x * k", FILE.format(2)),
        ("\n\ndef area(r):\n    return math.floor(math.pi * square(r))", FILE.format(3)),
    )
    assert pickle.loads(inputs.data) == {"k": 2}
    assert inputs.mode == "data"
    assert remote(inputs, "print(area(2)); k = 3; print(area(2))") == "25\n37\n"


def test_source_of_a_function_keeps_its_lines(notebook: Notebook) -> None:
    """A traceback on the other side shows the line of the notebook's cell."""
    namespace = notebook("a = 1\n\ndef half(x):\n    return x / 0\n")
    inputs = pack_inputs({"half": namespace["half"]}, namespace, same_minor=False)
    cell = "try:\n    half(1)\nexcept ZeroDivisionError as e:\n    t = e.__traceback__.tb_next\n"
    cell += "    print(t.tb_frame.f_code.co_filename, t.tb_lineno)"
    assert remote(inputs, cell) == f"{FILE.format(1)} 4\n"


DECORATED = """
import functools
def keep(f):
    @functools.wraps(f)
    def within():
        return f()
    return within
def one():
    return 1
def both():
    return keep(one)() + 1
"""


@pytest.mark.parametrize(
    ("source", "name", "cell"),
    [
        ("def f(n):\n    return n * f(n - 1) if n else 1", "f", "f(5)"),
        ("def f(n):\n    return g(n)\ndef g(n):\n    return f(n - 1) if n else 7", "f", "f(3)"),
        ("double = lambda x: 2 * x", "double", "double(4)"),
        ('def f():\n    """Says\n    much."""\n    return f.__doc__', "f", "f()"),
        ("class P:\n    def m(self):\n        return h(2)\ndef h(v):\n    return v * 3", "P", "P().m()"),
        ("class A:\n    a = 1\nclass B(A):\n    b = 2", "B", "B.a + B.b"),
        (DECORATED, "both", "both()"),
    ],
    ids=["recursive", "mutual", "lambda", "docstring", "class", "base class", "nested"],
)  # fmt: skip
def test_definition_works_on_the_other_side(
    notebook: Notebook, source: str, name: str, cell: str
) -> None:
    """A definition that travelled as source gives what it gives here."""
    namespace = notebook(source)
    inputs = pack_inputs({name: namespace[name]}, namespace, same_minor=False)
    assert remote(inputs, f"print({cell})") == f"{eval(cell, namespace)}\n"


def test_newest_definition_of_a_class_travels(notebook: Notebook) -> None:
    """Of a class that was defined twice, the second cell's source is sent."""
    notebook("class P:\n    x = 1\n")
    namespace = notebook("\nclass P:\n    x = 2\n")
    inputs = pack_inputs({"P": namespace["P"]}, namespace, same_minor=False)
    assert inputs.definitions == (("\nclass P:\n    x = 2", FILE.format(2)),)


def test_installed_things_are_imported_for_another_minor() -> None:
    """Modules, and functions and classes of modules, go by name under the notebook's names."""
    values = {
        "m": math, "c": collections.abc, "p": os.path, "root": math.sqrt, "Part": functools.partial,
    }  # fmt: skip
    inputs = pack_inputs(values, {}, same_minor=False)
    cell = "print(m.pi > 3, c.Sized.__name__, p.basename('a/b'), root(16), Part(int, base=2)('11'))"
    assert inputs.data == b""
    assert remote(inputs, cell) == "True Sized b 4.0 3\n"


@pytest.mark.parametrize("name", ["lost", "Lost"])
def test_definition_without_source_is_refused(name: str) -> None:
    """A definition that no cell has cannot go to another version, and is named."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def lost():\n    pass\nclass Lost:\n    pass\n", namespace)
    with pytest.raises(InputError, match=f"{name} cannot be sent to another Python than 3"):
        pack_inputs({name: namespace[name]}, namespace, same_minor=False)


def test_values_are_unpacked_in_their_order() -> None:
    """Values come as the runner packed them, one after the other."""
    file = io.BytesIO()
    for value in ("first", [1], {"third": None}):
        pack.pickler(file, {}, carry=False).dump(value)
    found = unpack(file.getvalue(), [{"name": name} for name in "abc"])
    assert found == ["first", [1], {"third": None}]


def test_unpacking_leaves_the_bytes_alone() -> None:
    """Bytes that cannot be read raise what pickle raises, and are as they were."""
    data = bytearray(pickle.dumps(1) + b"nonsense")
    before = bytes(data)
    assert unpack(data, [{}]) == [1]
    with pytest.raises(pickle.UnpicklingError):
        unpack(data, [{}, {}])
    assert bytes(data) == before
