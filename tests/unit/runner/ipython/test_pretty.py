"""The text of a value has the same layout as from IPython's pretty printer."""

from __future__ import annotations

import collections
import os
import re
import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.lib.pretty import pretty
from podtask.runner.ipython.display import _plain_text as plain_text
from podtask.runner.ipython.pretty import pformat

from tests.unit.characters import CHARACTERS

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
BOUNDED = settings(max_examples=150 * MANY, deadline=None, derandomize=MANY == 1, database=None)


class Plain:
    """Has the repr of object."""


class Pretty:
    """Object that prints itself in a group."""

    def _repr_pretty_(self, p: Any, cycle: bool) -> None:
        with p.group(4, "Pretty(", ")"):
            p.text("first,")
            p.breakable()
            with p.indent(2):
                p.text("second" * 5)
                p.breakable("")
                p.pretty([1, 2])


PLAIN, PRETTY = Plain(), Pretty()
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(CHARACTERS, max_size=40),
    st.sampled_from(
        [
            int,
            Plain,
            PLAIN,
            PRETTY,
            len,
            pformat,
            re.compile(r"a\s", re.IGNORECASE),
            ...,
            range(3),
            ValueError("a", 1),
            b"bytes",
            slice(1, 2),
        ]
    ),
)
KEYS = st.text("abcdef", max_size=12)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return strategies for containers of other values."""
    lists, dicts = st.lists(inner, max_size=8), st.dictionaries(KEYS, inner, max_size=8)
    return st.one_of(
        lists,
        lists.map(tuple),
        dicts,
        st.sets(KEYS, max_size=8),
        st.frozensets(st.integers() | KEYS, max_size=8),
        lists.map(collections.deque),
        lists.map(lambda each: collections.deque(each, 9)),
        lists.map(collections.UserList),
        dicts.map(collections.OrderedDict),
        dicts.map(lambda each: collections.defaultdict(list, each)),
        dicts.map(types.MappingProxyType),
        st.dictionaries(KEYS.map("n".__add__), inner, max_size=5).map(lambda d: types.SimpleNamespace(**d)),
    )


@BOUNDED
@given(st.recursive(ATOMS, containers, max_leaves=30))
def test_values_look_as_in_the_notebook(value: Any) -> None:
    """For nested containers, the lines end where IPython ends them."""
    assert pformat(value) == pretty(value)


class Table:
    """Object with a repr of two lines, like arrays and data frames."""

    def __repr__(self) -> str:
        return "one line\n and another"


@pytest.mark.parametrize(
    "value",
    [
        list(range(2000)),
        set(range(2000)),
        dict.fromkeys(range(300_000), ("x",)),  # J6
        collections.Counter("hello"),
        collections.Counter(),
        os.environ,
        Table(),
        {"table": Table(), "x" * 40: [Table(), "y" * 40]},
        [Table(), Table(), "z" * 90],
    ],
    ids=lambda value: type(value).__name__,  # the environment differs between pytest processes
)
def test_more_values(value: Any) -> None:
    """Long containers are shortened, counters sorted, and multi-line reprs indented."""
    assert pformat(value) == pretty(value)


def test_container_that_contains_itself() -> None:
    """A container that contains itself is shown with dots."""
    one: list[Any] = [1]
    two: dict[str, Any] = {"one": one}
    one.append(two)
    assert pformat(one) == pretty(one) == "[1, {'one': [...]}]"


@pytest.mark.parametrize(
    "value",
    [
        (b"\0" * (100 << 20),),
        "x" * (20 << 20),
        [[{"key": [10**200 + n for n in range(1000)]}] * 1000] * 1000,
        bytearray(5 << 20),
    ],
    ids=["bytes in a tuple", "a string", "a billion numbers in lists", "a bytearray"],
)
def test_huge_text_is_cut_while_it_is_made(value: Any) -> None:
    """J6: of a huge value, the first MiB of its text is made, and a line says so. The whole text would take minutes."""
    text = plain_text(value)
    assert text.endswith(f"…\n[the first 1 MiB of the text of this {type(value).__name__}]")
    assert 1 << 20 <= len(text) <= 3 << 20  # indentation is not counted
