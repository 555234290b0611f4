"""A stamp covers every byte of a value, and only a change of the value changes it."""

from __future__ import annotations

import collections
import functools
import sys
from typing import Any

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from podtask.runner import stamps
from podtask.runner.stamps import Stamper, checksum


def unchanged(value: Any, change: Any, **names: Any) -> bool:
    """Return whether a value has the same stamp after a change."""
    namespace = {"value": value, **names}
    before = Stamper(namespace).stamp(value)
    assert before is not None
    assert before.matches(Stamper(namespace).stamp(value))
    change(value)
    return before.matches(Stamper(namespace).stamp(namespace["value"]))


def set_item(place: Any, item: Any) -> Any:
    """Return a function that sets an item of its argument."""
    return lambda value: value.__setitem__(place, item)


@pytest.mark.parametrize("place", [0, 1, 777_777, 1_249_999])
@pytest.mark.parametrize("bits", [1, 1 << 63])
def test_one_item_of_a_large_array(place: int, bits: int) -> None:
    """One bit of 10 MB changes the stamp."""
    array = np.zeros(1_250_000, np.uint64)
    assert not unchanged(array, set_item(place, bits))


@pytest.mark.parametrize("width", [64, 509, 512, 521, 1024, 4096])
def test_rows_that_change_places(width: int) -> None:
    """Two rows of a permutation matrix that change places change the stamp: all sums of rows and columns stay."""
    # The first 512 rows of the matrix are enough.
    columns = np.random.default_rng(width).permutation(width)[:512]
    matrix = np.zeros((len(columns), width))
    matrix[np.arange(len(columns)), columns] = 1
    matrix = np.tile(matrix, (max(1, -(-(2 << 20) // matrix.nbytes)), 1))

    def swap(value: Any) -> None:
        value[[3, 7]] = value[[7, 3]]

    assert matrix.nbytes >= stamps.MIN_SUMMED_BYTES
    assert not unchanged(matrix, swap)


def test_signs_of_two_items() -> None:
    """Two items that change their sign change the stamp, although their sum modulo 2**64 stays."""
    array = np.ones(1_000_000)

    def negate(value: Any) -> None:
        value[[5, 70]] *= -1

    assert not unchanged(array, negate)


def test_checksum_covers_the_last_bytes() -> None:
    """The bytes behind the last whole word of a large buffer count."""
    data = bytearray((1 << 20) + 3)
    before = checksum(memoryview(data))
    data[-1] = 1
    assert checksum(memoryview(data)) != before


def test_checksum_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numpy, a change of a large buffer changes its checksum, too."""
    monkeypatch.delitem(sys.modules, "numpy")
    data = bytearray(2 << 20)
    before = checksum(memoryview(data))
    data[1 << 20] = 1
    assert checksum(memoryview(data)) != before


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1, 2], lambda value: value.append(3)),
        ({"a": [1]}, lambda value: value["a"].append(2)),
        ({1, 2}, lambda value: value.add(3)),
        (bytearray(b"abc"), set_item(0, 100)),
        (np.arange(20).reshape(4, 5)[:, ::2], set_item((0, 1), 9)),  # not one piece of memory
        (np.array([[], [1]], dtype=object), lambda value: value[0].append(1)),
        (np.arange(6).reshape(2, 3), lambda value: value.resize((3, 2), refcheck=False)),
        (np.arange(6), lambda value: value.setflags(write=False)),
        (np.array(["2020-01-01"], "datetime64[D]"), set_item(0, np.datetime64("2021-01-01"))),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), lambda value: value.__setitem__("c", 1)),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), lambda value: value.iloc.__setitem__((0, 1), "z")),
        (collections.deque([1]), lambda value: value.append(2)),
    ],
)
def test_changes_in_place(value: Any, change: Any) -> None:
    """A change in place changes the stamp."""
    assert not unchanged(value, change)


class Cached:
    """Class with a cached attribute."""

    @functools.cached_property
    def size(self) -> int:
        """What is computed when it is first read."""
        return 3


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Cached(), lambda value: value.size),
        (nx.path_graph(3), lambda value: value.adj),
        (pd.DataFrame({"a": [1.0, 2.0]}), lambda value: value["a"].sum()),
    ],
)
def test_caches_are_no_change(value: Any, read: Any) -> None:
    """Reading a value fills its caches and does not change its stamp."""
    assert unchanged(value, read)


@pytest.mark.parametrize(
    ("one", "two"), [(0, 0.0), (0.0, -0.0), (1, True), ("a", b"a"), ("", "a"), (None, 0), (1j, 1.0)]
)
def test_atoms_differ(one: Any, two: Any) -> None:
    """Immutable values have the same stamp only if type and value are the same."""
    stamper = Stamper({})
    stamp = stamper.stamp(one)
    assert stamp is not None
    assert stamp.matches(stamper.stamp(one))
    assert not stamp.matches(stamper.stamp(two))


def test_equal_texts_have_one_stamp() -> None:
    """A text that is bound again to another object of the same value is as before."""
    stamper = Stamper({})
    one = stamper.stamp("a" * 1000)
    assert one is not None
    assert one.matches(stamper.stamp("".join(["a"] * 1000)))


def test_what_cannot_be_pickled_has_no_stamp() -> None:
    """A generator has no stamp."""
    assert Stamper({}).stamp(each for each in "ab") is None


def defined(source: str) -> dict[str, Any]:
    """Return the namespace of a notebook that has executed a source."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace


def test_names_that_a_value_needs() -> None:
    """A stamp names what the functions of a value read, and the definitions that it refers to by name."""
    names = defined("rate = 2\ndef f(): return rate\nclass P:\n    def m(self): return f()\np = [P(), f]")
    stamper = Stamper(names)
    needs = {name: getattr(stamper.stamp(names[name]), "needs", None) for name in ("f", "P", "p", "rate")}
    assert needs == {"f": {"rate"}, "P": {"f"}, "p": {"P", "f"}, "rate": set()}


def test_defaults_and_attributes_of_definitions() -> None:
    """A mutable default and an attribute of a class are part of the definition, and not of what refers to it by name."""
    names = defined("def f(seen=[]): seen.append(1)\nclass P: rate = 1\np = [P(), f]")
    before = {name: Stamper(names).stamp(names[name]) for name in ("f", "P", "p")}
    names["f"]()
    names["P"].rate = 2
    after = {name: Stamper(names).stamp(names[name]) for name in ("f", "P", "p")}
    changed = [name for name, stamp in before.items() if stamp is None or not stamp.matches(after[name])]
    assert changed == ["f", "P"]


def test_pickled_instance_does_not_change_its_class() -> None:
    """What pickle notes on a class when it pickles an instance is not part of the class."""
    names = defined("class P: rate = 1\np = P()")
    before = Stamper(names).stamp(names["P"])
    names["p"].__reduce_ex__(2)
    assert "__slotnames__" in vars(names["P"])
    assert before == Stamper(names).stamp(names["P"])


def test_attributes_of_a_class_without_a_name() -> None:
    """A class that no name of the notebook refers to is part of its instances."""
    names = defined("class P: rate = 1\np = P()\ndel P")
    before = Stamper(names).stamp(names["p"])
    type(names["p"]).rate = 2
    assert before != Stamper(names).stamp(names["p"])


@pytest.mark.parametrize("again", ["class P: rate = 2", "del P", "Q = P; del P"])
def test_class_that_is_defined_again(again: str) -> None:
    """A class that loses its name does not change its instances; what changes on it before or afterwards does."""
    names = defined("class P: rate = 1\np, others = P(), [P()]")
    before = {name: Stamper(names).stamp(names[name]) for name in ("p", "others")}
    exec(again, names)
    after = {name: Stamper(names).stamp(names[name]) for name in before}
    assert all(stamp is not None and stamp.matches(after[name]) for name, stamp in before.items())
    type(names["p"]).rate = 3
    changed = Stamper(names).stamp(names["p"])
    assert changed is not None
    if "Q" not in names:  # else it has a name
        assert not changed.matches(after["p"])
        assert not changed.matches(before["p"])


def test_instance_that_gets_another_class() -> None:
    """An equal instance of a class that was defined again is another value."""
    names = defined("class P: rate = 1\np = P()")
    before = Stamper(names).stamp(names["p"])
    exec("class P: rate = 1\np = P()", names)
    assert before is not None
    assert not before.matches(Stamper(names).stamp(names["p"]))


def test_shared_parts() -> None:
    """Values share lists, instances and cells of closures; they do not share texts, numbers or classes."""
    names = defined(
        "inner = ['text', 1]\na = [inner]\nb = {'k': inner}\nc = ['text', 1]\n"
        "def make():\n    n = 0\n    def add():\n        nonlocal n\n        n += 1\n    def get(): return n\n    return add, get\n"
        "add, get = make()\nclass P: pass\np, q = P(), P()"
    )
    stamper = Stamper(names)
    parts = {name: stamper.shared_parts(names[name]) for name in ("a", "b", "c", "add", "get", "p", "q")}
    pairs = [
        (one, two) for one in parts for two in parts if one < two and parts[one].keys() & parts[two].keys()
    ]
    assert pairs == [("a", "b"), ("add", "get")]
