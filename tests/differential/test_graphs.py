"""Any graph of objects is unchanged after the transfer to the worker and back."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import types
from typing import Any

import pytest
from cloudpickle import cloudpickle
from hypothesis import given, settings
from hypothesis import strategies as st
from podtask.pickling.inputs import Inputs, pack_inputs
from podtask.pickling.outputs import unpack
from podtask.runner.worker.changes import InputSnapshot
from podtask.runner.worker.inputs import load
from podtask.runner.worker.outputs import pack_values

NUMBERS = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID
MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
BOUNDED = settings(max_examples=60 * MANY, deadline=None, derandomize=MANY == 1, database=None)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


class Node:
    """An instance in a graph."""


# One object of a graph: its kind, an atom, and the numbers of the objects that it refers to.
PART = st.tuples(
    st.sampled_from(["list", "dict", "tuple", "node"]),
    ATOMS,
    st.lists(st.integers(0, 30), max_size=4),
)


def build(parts: list[Any]) -> dict[str, Any]:
    """Return named objects that refer to each other as the parts describe, with cycles."""
    made: list[Any] = []
    for kind, atom, links in parts:
        if kind == "tuple":  # can only refer to existing objects
            made.append((atom, *(made[link % len(made)] for link in links if made)))
        else:
            made.append({"list": list, "dict": dict, "node": Node}[kind]())
    for each, (kind, atom, links) in zip(made, parts, strict=True):
        targets = [made[link % len(made)] for link in links]
        if kind == "list":
            each += [atom, *targets]
        elif kind == "dict":
            each.update({"atom": atom, **{f"k{n}": target for n, target in enumerate(targets)}})
        elif kind == "node":
            each.atom, each.links = atom, targets
    return {f"name{n}": each for n, each in enumerate(made)}


def shape(value: Any, numbers: dict[int, int]) -> Any:
    """Return a description that is equal for graphs with the same values and identities."""
    if (isinstance(value, tuple) and not value) or not isinstance(value, (list, dict, tuple, Node)):
        return type(value).__name__, repr(value)
    if id(value) in numbers:
        return numbers[id(value)]
    numbers[id(value)] = len(numbers)
    inside = vars(value) if isinstance(value, Node) else value
    parts = inside.items() if isinstance(inside, dict) else inside
    return type(value).__name__, [shape(part, numbers) for part in parts]


def loaded(inputs: Inputs) -> types.ModuleType:
    """Return the ``__main__`` that a runner builds from inputs."""
    there = types.ModuleType("__main__")
    before = sys.modules["__main__"]
    sys.modules["__main__"] = there
    ours = dict(NUMBERS)
    NUMBERS.clear()  # another process does not know our functions
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"".join(inputs.parts))
            file.flush()
            load(inputs.about, file.fileno(), there.__dict__, lambda name: None)
    finally:
        sys.modules["__main__"] = before
        NUMBERS.update(ours)
    return there


def there_and_back(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that come back if every input is an output."""
    remote = vars(loaded(pack_inputs(values, dict(values))))
    file = io.BytesIO()
    end = pack_values({"outputs": list(values), "mode": "pickle"}, file, remote, InputSnapshot({}, ()), [])
    whole = memoryview(file.getvalue())
    parts = []
    for size in end["sizes"]:
        parts.append(bytearray(whole[:size]))
        whole = whole[size:]
    return dict(zip(values, unpack(parts, end["packed"]), strict=True))


@BOUNDED
@given(st.lists(PART, min_size=1, max_size=12))
def test_graph_comes_back_as_it_went(parts: list[Any]) -> None:
    """Values and the identities between them survive the transfer to the worker and back."""
    values = build(parts)
    numbers: dict[int, int] = {}
    before = {name: shape(value, numbers) for name, value in values.items()}
    back = there_and_back(values)
    numbers = {}
    assert {name: shape(back[name], numbers) for name in values} == before


STATEMENT = st.sampled_from(["a += 1", "b.append(a)", "c = len(b)", "a = c * 2", "b = list(b)"])


@BOUNDED
@given(st.lists(STATEMENT, min_size=1, max_size=6), st.integers(0, 9))
def test_function_works_on_the_cells_namespace(body: list[str], start: int) -> None:
    """A function of the notebook reads and changes names in the worker as in the notebook."""
    source = "def work():\n    global a, b, c\n    " + "\n    ".join(body)
    here: dict[str, Any] = {"__name__": "__main__", "a": start, "b": [start], "c": 0}
    exec(source, here)
    there = loaded(pack_inputs({name: here[name] for name in ("work", "a", "b", "c")}, here))
    there.work()
    here["work"]()
    assert [there.a, there.b, there.c] == [here["a"], here["b"], here["c"]]
    assert there.work.__globals__ is there.__dict__


def test_shape_tells_graphs_apart() -> None:
    """shape() detects a lost identity between objects."""
    one = [1]
    with pytest.raises(AssertionError):
        assert shape([one, one], {}) == shape([[1], [1]], {})
