"""Any graph of objects is unchanged after the transfer to the worker and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podtask.pickling import local_modules
from podtask.pickling.inputs import pack_inputs

from tests.unit.packing import Pod

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
BOUNDED = settings(max_examples=60 * MANY, deadline=None, derandomize=MANY == 1, database=None)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


@pytest.fixture(autouse=True, scope="module")
def no_sources_of_tests() -> Iterator[None]:
    """Do not send the module of ``Node``: both sides are this process, which has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_modules, "NEVER_SENT", {*local_modules.NEVER_SENT, "tests"})
        yield


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


def there_and_back(values: dict[str, Any]) -> dict[str, Any]:
    """Return what comes back when every input is an output."""
    pod = Pod(pack_inputs(values, dict(values)))
    return pod.unpack(*pod.pack(list(values)))


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
    pod = Pod(pack_inputs({name: here[name] for name in ("work", "a", "b", "c")}, here))
    there: Any = pod.module
    there.work()
    here["work"]()
    assert [there.a, there.b, there.c] == [here["a"], here["b"], here["c"]]
    assert there.work.__globals__ is there.__dict__


def test_shape_tells_graphs_apart() -> None:
    """shape() detects a lost identity between objects."""
    one = [1]
    with pytest.raises(AssertionError):
        assert shape([one, one], {}) == shape([[1], [1]], {})
