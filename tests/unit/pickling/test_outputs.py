"""Values that come back: order, sharing, and values that cannot be unpickled in the notebook."""

from __future__ import annotations

import io
import sys
import types
from typing import Any

import pytest
from podtask.pickling.outputs import Undecoded, unpack
from podtask.runner.worker.changes import InputSnapshot
from podtask.runner.worker.outputs import ResultWriter, pack_values

from tests.unit.packing import Array, Raising


def packed(values: list[Any], plain: bool = False) -> tuple[list[bytearray], list[dict[str, Any]]]:
    """Return the parts and items that a runner would send."""
    file = io.BytesIO()
    job = {
        "outputs": [f"v{place}" for place in range(len(values))],
        "mode": "data" if plain else "pickle",
    }
    namespace = {f"v{place}": value for place, value in enumerate(values)}
    end = pack_values(job, ResultWriter([file]), namespace, InputSnapshot({}, ()), [])
    view = memoryview(file.getvalue())
    parts = []
    for size in end["sizes"]:
        parts.append(bytearray(view[:size]))
        view = view[size:]
    return parts, end["packed"]


def test_values_are_unpacked_in_their_order() -> None:
    """Values come back in the order in which they were packed, and shared objects stay shared."""
    shared = [1]
    found = unpack(*packed(["first", shared, {"third": shared}, Array(b"z" * 100_000)]))
    assert found[:3] == ["first", [1], {"third": [1]}]
    assert found[1] is found[2]["third"]
    assert bytes(found[3].data) == b"z" * 100_000


def test_missing_class_does_not_affect_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that cannot be unpickled does not affect the values before and after it."""
    gone = types.ModuleType("gone_for_good")
    exec("class Gone:\n    def __init__(self):\n        self.x = 1\n", gone.__dict__)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone_for_good", gone)
        shared = ["shared"]
        parts, items = packed([shared, [gone.Gone(), shared], [shared, 3]], plain=True)
    first, second, third = unpack(parts, items)
    assert first == ["shared"]
    assert isinstance(second, Undecoded)
    assert isinstance(second.error, ModuleNotFoundError)
    assert third == [["shared"], 3]
    assert third[0] is first


def test_constructor_that_raises_leaves_the_values_before_it() -> None:
    """After an error raised by a class's own code no value is used; all values before it are."""
    first, second, third = unpack(*packed([1, Raising(), 2]))
    assert first == 1
    assert all(isinstance(each, Undecoded) for each in (second, third))
