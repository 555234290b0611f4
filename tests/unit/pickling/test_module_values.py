"""Values of the user's own modules that were changed after the import (row C1)."""

from __future__ import annotations

import importlib
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.pickling.inputs import pack_inputs
from podtask.pickling.module_values import ModuleValue, changed_values

from tests.unit.packing import remote

Make = Callable[..., types.ModuleType]
SOURCE = """
import os
LR = 0.1
SEEN: list = []
BYTES, NAMES = 4 * 1024, dict(a=1)
WHERE = os.sep + "data"
FILLED = {}
FILLED["x"] = os.sep
if os.sep:
    TWICE = 1
TWICE = 2
class Config:
    lr = 0.1
cfg = Config()
def train():
    return LR, cfg.lr, SEEN
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a function that writes and imports a module."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def write(name: str = "own_settings", source: str = SOURCE) -> types.ModuleType:
        (tmp_path / f"{name}.py").write_text(source)
        made.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in made:
        sys.modules.pop(name, None)


def found(module: Any, namespace: dict[str, Any] | None = None) -> tuple[dict[str, ModuleValue], list[str]]:
    """Return the values that would be sent, by name, and the notes."""
    source = Path(module.__file__).read_bytes()
    values, notes = changed_values({module.__name__: source}, namespace or {}, plain=False)
    return {each.name: each for each in values}, notes


def test_c1_unchanged_module_has_nothing_to_send(make: Make) -> None:
    """C1: a module that nobody has changed costs nothing, whatever it computes."""
    assert found(make()) == ({}, [])


def test_c1_changed_literals(make: Make) -> None:
    """C1: what differs from the literal in the source is sent, also if it was changed in place or has another type."""
    module: Any = make()
    module.LR, module.BYTES = 5, 4096.0
    module.SEEN.append("x")
    module.NAMES["b"] = 2
    values, notes = found(module)
    assert {name: each.value for name, each in values.items()} == {
        "LR": 5,
        "BYTES": 4096.0,
        "SEEN": ["x"],
        "NAMES": {"a": 1, "b": 2},
    }
    assert notes == []


def test_c1_computed_values_are_named(make: Make) -> None:
    """C1: what the module computes is not sent; it is named if a cell has changed it."""
    module: Any = make()
    module.WHERE, module.TWICE = "/other", 3
    module.FILLED["y"] = 1
    cells = ["import own_settings as s", "s.WHERE = '/other'\ns.TWICE += 1\nif s.LR == 2: pass"]
    namespace = {"s": module, "In": cells}
    values, notes = found(module, namespace)
    assert values == {}
    assert [line.split()[0] for line in notes] == ["own_settings.TWICE", "own_settings.WHERE"]
    assert all("Set it in the cell" in line for line in notes)


CLASSES = """
import os
class Config:
    lr, names = 0.1, ["a"]
    where = os.sep
    def method(self): self.later = 1
class Twice:
    n = 1
Twice.n = 2
def train(): return Config.lr, Config.names, Config.where, Twice.n
"""


def test_c1_attributes_of_classes(make: Make) -> None:
    """C1: attributes of a module's classes are sent like its own values; computed ones are named."""
    module: Any = make("own_classes", CLASSES)
    assert found(module) == ({}, [])
    module.Config.lr, module.Config.extra = 5, {"k": 1}
    module.Config.names.append("b")
    module.Config.where = "/other"
    cells = ["from own_classes import Config as C", "C.lr = 5\nC.where = '/other'"]
    namespace = {"C": module.Config, "train": module.train, "In": cells}
    values, notes = found(module, namespace)
    assert {name: (each.kind, each.value, each.reported) for name, each in values.items()} == {
        "Config.lr": ("literal", 5, True),
        "Config.names": ("literal", ["a", "b"], False),
        "Config.extra": ("new", {"k": 1}, False),
    }
    [line] = notes
    assert line.startswith("own_classes.Config.where was changed in the notebook")
    module.Config.where = "/"
    cell = "import own_classes\nprint(train(), own_classes.Config is C, C.extra)"
    expected = "(5, ['a', 'b'], '/', 2) True {'k': 1}\n"
    assert sent(module, namespace, ["C", "train"], cell) == expected


def test_c1_classes_whose_attributes_are_computed(make: Make) -> None:
    """C1: attributes that the module sets after the class statement are its own."""
    module: Any = make("own_classes", CLASSES)
    module.Twice.n = 7
    assert found(module) == ({}, [])
    _, notes = found(module, {"m": module, "In": ["import own_classes as m", "m.Twice.n = 7"]})
    assert [line.split()[0] for line in notes] == ["own_classes.Twice"]


def test_c1_new_names(make: Make) -> None:
    """C1: a name that the source does not mention is sent; modules and dunder names are not."""
    module: Any = make()
    module.EXTRA, module.json, module.__version__ = {1}, sys, "1"
    values, _ = found(module)
    assert {name: each.kind for name, each in values.items()} == {"EXTRA": "new"}


def test_c1_what_cannot_be_sent_is_named(make: Make) -> None:
    """C1: a value that cannot be pickled or is larger than 1 MiB is named, and nothing fails."""
    module: Any = make()
    module.SEEN.append(threading.Lock())
    module.NAMES["big"] = bytes(2 << 20)
    module.LR = 1
    values, notes = found(module)
    assert set(values) == {"LR"}
    assert any("own_settings.SEEN cannot be pickled" in line for line in notes)
    assert any("own_settings.NAMES is larger than" in line for line in notes)


def sent(module: types.ModuleType, namespace: dict[str, Any], names: list[str], cell: str) -> str:
    """Return what a cell prints in a fresh interpreter that has these inputs."""
    values = {name: namespace[name] for name in names}
    return remote(pack_inputs(values, namespace, cell=Cell.of(cell)), cell)


def test_c1_an_object_that_the_notebook_holds(make: Make, tmp_path: Path) -> None:
    """C1: an object of ``from m import cfg`` is the module's own in the pod, too (joblib#923)."""
    module: Any = make()
    module.cfg.lr = 0.5
    module.LR = 3
    namespace = {"cfg": module.cfg, "own_settings": module, "train": module.train}
    cell = "print(cfg is own_settings.cfg, train(), own_settings.LR)"
    inputs = pack_inputs(namespace, namespace, cell=Cell.of(cell))
    assert ["own_settings", "cfg", "held", "", False] in inputs.about["module_values"]
    assert inputs.sizes["own_settings.LR"][0] == "int"


def test_c1_step_is_plain_data() -> None:
    """C1: the description of a value is part of a frame's head."""
    assert ModuleValue("m", "x", "new", "", object()).step == ["m", "x", "new", "", False]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60 * 60", 3600),
        ("-1 / 4", -0.25),
        ("dict(lr=0.1, deep=[1])", {"lr": 0.1, "deep": [1]}),
        ("set()", set()),
        ("('a', b'b', None, ...)", ("a", b"b", None, ...)),
    ],
)
def test_c1_literals(text: str, value: Any, make: Make) -> None:
    """C1: arithmetic of numbers and calls such as ``dict(lr=0.1)`` count as literals."""
    module: Any = make("own_literal", f"X = {text}\n")
    assert found(module) == ({}, [])
    module.X = [value]
    assert found(module)[0]["X"].literal == repr(value)


@pytest.mark.parametrize(
    "text", ["int('3')", "[n for n in (1, 2)]", "f'{1}'", "2 ** 3", "dict(**{})", "len('a')"]
)
def test_c1_computed(text: str, make: Make) -> None:
    """C1: any other expression is computed, so its value is never sent."""
    module: Any = make("own_computed", f"X = {text}\n")
    module.X = "other"
    assert found(module) == ({}, [])
