"""The inputs of a cell: which values are sent, how they are loaded in the pod, and which are rejected."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.errors import InputError
from podtask.pickling.inputs import pack_inputs, select
from podtask.runner.bundle import MINOR

from tests.unit.packing import OTHER, definitions, remote

Notebook = Callable[[str], dict[str, Any]]


def _closure(lock: Any) -> Callable[[], Any]:
    return lambda: lock


def _slotted(lock: Any) -> Any:
    class Slotted:
        __slots__ = ("guard",)

    made: Any = Slotted()
    made.guard = lock
    return made


def _defaults(lock: Any) -> Callable[..., Any]:
    def locked(name: str, guard: Any = lock) -> Any:
        return name, guard

    return locked


def _keyword(lock: Any) -> Callable[..., Any]:
    def locked(*, guard: Any = lock) -> Any:
        return guard

    return locked


def _class_with(lock: Any) -> Any:
    return type("Model", (), {"guard": lock, "__module__": "__main__"})


LOCK = threading.Lock()


def test_names_that_the_cell_reads_are_selected() -> None:
    """Variables that exist and are read by the cell are sent, in the order of the reads."""
    namespace = {"b": 2, "a": 1, "c": 3}
    assert list(select(["a", "b", "missing"], None, namespace).items()) == [("a", 1), ("b", 2)]


def test_wanted_names_narrow_the_selection() -> None:
    """With -i only the given names are sent, whether the cell reads them or not."""
    assert select(["a"], ("b", "c"), {"a": 1, "b": 2, "c": None}) == {"b": 2, "c": None}
    assert select(["a"], (), {"a": 1}) == {}


def test_wanted_name_that_is_missing_is_an_error() -> None:
    """The error shows the flag and the first name that does not exist."""
    with pytest.raises(InputError, match="-i nope: the notebook has no such variable"):
        select([], ("a", "nope"), {"a": 1})


@pytest.mark.parametrize(("python", "mode"), [(MINOR, "pickle"), (OTHER, "data")])
def test_plain_values_come_back(python: str, mode: str) -> None:
    """Plain values arrive unchanged, and shared objects stay shared."""
    one = [1, {"a": (2.5, b"x", None)}]
    inputs = pack_inputs({"one": one, "two": one, "text": "é"}, {}, python)
    shown = remote(inputs, "print([one, two, text], one is two)")
    assert shown == f"{[one, one, 'é']} True\n"
    assert inputs.about["mode"] == mode
    assert definitions(inputs) == []
    types = {name: kind for name, (kind, _) in inputs.sizes.items()}
    assert types == {"one": "list", "two": "list", "text": "str"}


@pytest.mark.parametrize("python", [MINOR, OTHER])
def test_no_inputs_have_no_pickle(python: str) -> None:
    """A cell that reads nothing sends no pickle."""
    inputs = pack_inputs({}, {}, python)
    assert (inputs.parts, inputs.about["steps"], inputs.sizes) == ((), [], {})


def test_sizes_add_up_to_the_bytes_sent() -> None:
    """The sizes of the values add up to all bytes sent; a shared object counts for the first value."""
    shared = list(range(1000))
    inputs = pack_inputs({"x": shared, "y": [shared]}, {})
    assert sum(size for _, size in inputs.sizes.values()) == sum(map(len, inputs.parts))
    assert inputs.sizes["x"][1] > 2000 > 100 > inputs.sizes["y"][1]


ARRAY = """
import pickle
class Array:
    def __init__(self, data): self.data = memoryview(data)
    def __reduce_ex__(self, protocol): return Array, (pickle.PickleBuffer(self.data),)
big, small = Array(bytearray(b"a" * 200_000)), Array(bytearray(b"b" * 100))
"""


def test_large_buffers_go_apart_and_can_be_changed(notebook: Notebook) -> None:
    """The memory of an array is sent out of band, aligned, and as a copy that the cell may change."""
    namespace = notebook(ARRAY)
    big = namespace["big"]
    inputs = pack_inputs({"big": big, "small": namespace["small"], "also": big}, namespace)
    [(offset, size)] = inputs.about["buffers"]
    assert (offset % 64, size) == (0, 200_000)
    cell = "big.data[0] = 7; print(bytes(big.data[:3]), len(big.data), also is big, bytes(small.data[:2]))"
    assert remote(inputs, cell) == "b'\\x07aa' 200000 True b'bb'\n"
    assert big.data[0] == ord("a")


def test_functions_share_the_one_namespace(notebook: Notebook) -> None:
    """Functions see the variables of the cell and those that other functions set."""
    namespace = notebook(
        "factor = 2\n"
        "def scaled(x):\n    return x * factor\n"
        "def grow():\n    global factor\n    factor = factor + 1\n"
    )
    values = {name: namespace[name] for name in ("scaled", "grow")}
    inputs = pack_inputs(values, namespace)
    assert set(inputs.sizes) == {"scaled", "grow", "factor"}
    cell = "print(scaled(10)); factor = 5; print(scaled(10)); grow(); print(scaled(10), factor)"
    assert remote(inputs, cell) == "20\n50\n60 6\n"
    assert namespace["factor"] == 2


def test_class_and_instance_keep_their_identity(notebook: Notebook) -> None:
    """An instance that is sent with its class remains an instance of that class."""
    namespace = notebook("class Point:\n    def __init__(self):\n        self.x = 3\np = Point()\n")
    values = {name: namespace[name] for name in ("Point", "p")}
    inputs = pack_inputs(values, namespace)
    assert remote(inputs, "print(type(p) is Point, p.x)") == "True 3\n"


@pytest.mark.parametrize("python", [MINOR, OTHER])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(threading.Lock(), "lock"), (threading.local(), "_local"), ((n for n in ""), "generator")],
    ids=["lock", "local", "generator"],
)
def test_value_that_cannot_travel_is_named(python: str, value: Any, kind: str) -> None:
    """The error names the value that cannot be pickled, and its type."""
    with pytest.raises(InputError) as caught:
        pack_inputs({"fine": 1, "bad": value, "also": 2}, {}, python)
    assert caught.value.message.startswith(f"bad ({kind}) cannot be sent: ")
    assert "-i" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"k": LOCK}]}, "bad['a'][1]['k'] (lock)"),
        (types.SimpleNamespace(inner=types.SimpleNamespace(guard=LOCK)), "bad.inner.guard (lock)"),
        ({LOCK: 1}, "bad's key <unlocked"),
        (_closure(LOCK), "bad's lock (lock)"),
        (_slotted(LOCK), "bad.guard (lock)"),
        (_defaults(LOCK), "bad's default for guard (lock)"),
        (_keyword(LOCK), "bad's default for guard (lock)"),
        (_class_with(LOCK), "bad.guard (lock)"),
        (_class_with(LOCK)(), "bad.__class__.guard (lock)"),
    ],
    ids=[
        "containers",
        "attributes",
        "key",
        "closure",
        "slot",
        "default",
        "keyword",
        "class",
        "of its class",
    ],
)
def test_place_inside_a_value_is_named(value: Any, path: str) -> None:
    """The error shows the path of the part that cannot be pickled."""
    with pytest.raises(InputError) as caught:
        pack_inputs({"bad": value}, {})
    assert caught.value.message.startswith(path), caught.value.message


def test_value_that_a_function_reads_is_named_with_it(notebook: Notebook) -> None:
    """The error names the function through which the cell reads a value that cannot be pickled."""
    namespace = notebook("import threading\nlock = threading.Lock()\ndef guarded():\n    lock.acquire()\n")
    with pytest.raises(InputError, match=r"lock \(lock, read by guarded\) cannot be sent"):
        pack_inputs({"guarded": namespace["guarded"]}, namespace)


def test_name_that_the_cell_sets_first_is_not_sent(notebook: Notebook) -> None:
    """A global of a function is not sent if the cell sets it before each use."""
    namespace = notebook("data = 1\nk = 2\ndef f():\n    return data * k\n")
    cell = Cell.of("data = 5\nprint(f())")
    inputs = pack_inputs({"f": namespace["f"]}, namespace, cell=cell)
    assert set(inputs.sizes) == {"f", "k"}
    early = Cell.of("f()\ndata = 5\nprint(f())")
    inputs = pack_inputs({"f": namespace["f"]}, namespace, cell=early)
    assert set(inputs.sizes) == {"f", "k", "data"}


def test_function_by_the_type_of_its_argument_travels(notebook: Notebook) -> None:
    """Registered objects are sent, and the pod can register more."""
    namespace = notebook(
        "from functools import singledispatch\n@singledispatch\ndef kind(x): return 'any'\n"
        "@kind.register\ndef _(x: str): return 'str'\nkind('')\n"
    )
    cell = "kind.register(int)(lambda x: 'int')\nprint(kind([]), kind(''), kind(1), len(kind.registry))"
    inputs = pack_inputs({"kind": namespace["kind"]}, namespace)
    assert remote(inputs, cell) == "any str int 3\n"


@pytest.mark.parametrize("python", [MINOR, OTHER])
def test_unpicklable_value_that_the_cell_may_set_is_omitted(python: str) -> None:
    """A value that cannot be pickled is an error only if the cell certainly reads it."""
    values = {"a": [1], "con": [LOCK], "b": 2}
    cell = Cell.of("for n in range(2):\n    con = n\nprint(a, b, con)")
    inputs = pack_inputs(values, values, python, cell)
    assert list(inputs.left_out) == ["con"]
    assert "lock" in inputs.left_out["con"]
    assert remote(inputs, "print(a, b, 'con' in globals())") == "[1] 2 False\n"
    with pytest.raises(InputError, match="con"):
        pack_inputs(values, values, python, Cell.of("con = con[0]"))


def test_function_uses_the_version_that_the_cell_sets(notebook: Notebook) -> None:
    """A function of an earlier cell calls the new version of another function."""
    namespace = notebook("import threading\nlock = threading.Lock()\ndef f():\n    return lock\n")
    cell = Cell.of("for n in range(2):\n    lock = n\nprint(f())")
    inputs = pack_inputs({"f": namespace["f"]}, namespace, cell=cell)
    assert (set(inputs.sizes), list(inputs.left_out)) == ({"f"}, ["lock"])


@pytest.mark.parametrize("python", [MINOR, OTHER])
def test_inputs_over_the_limit_are_refused(notebook: Notebook, python: str) -> None:
    """Inputs over the limit are an error that lists the largest values and their sizes."""
    namespace = notebook(f"{ARRAY}array = Array(bytearray(2 << 20))")
    values = {"small": 1, "big": bytes(3 << 20), "array": namespace["array"]}
    told = r"5 MiB, over the limit of 4 MiB: big \(bytes, 3 MiB\), array \(Array, 2 MiB\)."
    with pytest.raises(InputError, match=told) as caught:
        pack_inputs(values, namespace, python, limit=4 << 20)
    assert "--max-input" in caught.value.hint


def test_large_value_that_the_cell_may_set_is_omitted() -> None:
    """A cell that creates a large value can run again."""
    values = {"model": 1, "out": bytes(5 << 20), "less": bytes(1 << 20)}
    cell = Cell.of("with model:\n    out = less = 2\nprint(out, less)")
    inputs = pack_inputs(values, values, cell=cell, limit=4 << 20)
    assert (set(inputs.sizes), dict(inputs.left_out)) == (
        {"model", "less"},
        {"out": "5 MiB; the limit is 4 MiB"},
    )
