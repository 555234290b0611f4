"""What comes back is the notebook's own; what the cell changed comes back only as a difference."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podtask.pickling.inputs import pack_inputs
from podtask.runner.reducers import identity

from tests.unit.packing import OTHER, Pod

Notebook = Callable[[str], dict[str, Any]]
MODEL = "class Model:\n    rate = 1\n    def f(self): return self.rate\n"


def test_a3_redefined_class_is_the_old_one(notebook: Notebook) -> None:
    """A3: an instance comes back with the class that was sent, although its name stands for another now."""
    namespace = notebook(MODEL)
    pod = Pod(pack_inputs({"Model": namespace["Model"]}, namespace))
    pod.run("m = Model()")
    old = namespace["Model"]
    exec(MODEL, namespace)
    assert type(pod.unpack(*pod.pack(["m"]))["m"]) is old


def test_a3_another_kernel_gets_copies(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A3: a kernel that attaches to a task has not sent its classes; it gets them as the pod has them."""
    namespace = notebook(MODEL + "class Sub(Model): pass\ndef make(): return Sub()\n")
    pod = Pod(pack_inputs({name: namespace[name] for name in ("Sub", "make", "Model")}, namespace))
    pod.run("Model.rate = 4\nm = [Sub(), Sub, make]")
    parts, end = pod.pack(["m"])
    monkeypatch.setattr(identity, "NUMBERS", identity.ObjectNumbers())
    instance, kind, make = pod.unpack(parts, end)["m"]
    assert kind is not namespace["Sub"]
    assert type(instance) is kind
    assert (instance.f(), kind.__mro__[1].__qualname__, make.__name__) == (4, "Model", "make")


def test_class_that_the_cell_defines_again_stays_in_another_python(notebook: Notebook) -> None:
    """A pod with another Python sends classes by name, so it keeps what the notebook knows otherwise."""
    namespace = notebook(MODEL)
    pod = Pod(pack_inputs({"Model": namespace["Model"]}, namespace, OTHER))
    pod.run("old = Model()\nclass Model: rate = 2\nnew = Model()")
    _, end = pod.pack(["new"], mode="data")
    ((name, why),) = [(item["name"], item["why"]) for item in end["kept"]]
    assert (name, why) == (
        "new",
        "PicklingError: Model was defined by the cell, in a pod with another version of Python",
    )


def test_b6_sentinels_keep_their_identity_in_another_python(notebook: Notebook) -> None:
    """B6: a sentinel comes back as itself from a pod with another Python."""
    namespace = notebook("MISSING = object()\nclass Token: pass\nTOKEN = Token()\n")
    values = {name: namespace[name] for name in ("MISSING", "TOKEN", "Token")}
    pod = Pod(pack_inputs(values, namespace, OTHER))
    pod.run("got = [MISSING, TOKEN, MISSING]")
    found = pod.unpack(*pod.pack(["got"], mode="data"))["got"]
    assert [
        each is namespace[name] for each, name in zip(found, ("MISSING", "TOKEN", "MISSING"), strict=True)
    ] == [
        True,
        True,
        True,
    ]


SINGLE = """
class Settings:
    _only = None
    def __new__(cls):
        if cls._only is None:
            cls._only = super().__new__(cls)
            cls._only.theme = "dark"
        return cls._only
settings = Settings()
"""


@pytest.mark.parametrize(("change", "is_own"), [("", True), ("\nsettings.theme = 'light'", False)])
def test_b6_singletons_come_back_from_another_python(change: str, is_own: bool, notebook: Notebook) -> None:
    """B6: a single instance comes back as the notebook's own, which is never changed, whatever Python the pod has."""
    namespace = notebook(SINGLE)
    pod = Pod(pack_inputs({name: namespace[name] for name in ("Settings", "settings")}, namespace, OTHER))
    pod.run(f"got = [Settings(), Settings() is settings]{change}")
    instance, is_single = pod.unpack(*pod.pack(["got"], mode="data"))["got"]
    assert is_single
    assert (instance is namespace["settings"]) == is_own
    assert (instance.theme, namespace["settings"].theme) == ("dark" if is_own else "light", "dark")


def test_class_with_a_metaclass_comes_back_from_another_python(notebook: Notebook) -> None:
    """A3: an instance of a class with a metaclass has the notebook's class, whatever Python the pod has."""
    namespace = notebook("class Meta(type): pass\nclass Model(metaclass=Meta): pass\n")
    pod = Pod(pack_inputs({"Model": namespace["Model"]}, namespace, OTHER))
    pod.run("got = [Model(), Model]")
    instance, kind = pod.unpack(*pod.pack(["got"], mode="data"))["got"]
    assert type(instance) is kind
    assert kind is namespace["Model"]


NEW_SYNTAX = """
type Rows = list[int]
type Json = dict[str, Json] | int
type Pair[T] = tuple[T, T]
class Node[T: (int, str)]:
    def add[U: Node](self, other: U) -> Rows: return [1]
def first[T, *Ts, **P](x: Rows, *rest: *Ts) -> Json: return x[0]
"""
NEW_PROGRAM = f"""
from podtask.errors import InputError
from podtask.pickling.inputs import pack_inputs
from tests.unit.packing import Pod
here = {{"__name__": "__main__"}}
exec(compile({NEW_SYNTAX!r}, "<cell>", "exec", dont_inherit=True), here)
names = ["first", "Rows", "Json", "Pair", "Node"]
pod = Pod(pack_inputs({{name: here[name] for name in names}}, here))
there = pod.module
assert there.first([3]) == 3 and there.first.__annotations__["x"] is there.Rows
assert there.Rows.__value__ == list[int] and there.Rows.__module__ == "__main__"
assert there.Json.__value__.__args__[0].__args__[1] is there.Json
assert there.Pair.__value__.__args__ == there.Pair.__type_params__ * 2
assert there.Node.__type_params__[0].__constraints__ == (int, str)
assert there.Node.add.__type_params__[0].__bound__ is there.Node
back = pod.unpack(*pod.pack(names))
assert all(back[name] is here[name] for name in names)
exec(compile("type Tree[T] = T | list[Tree[T]]", "<cell>", "exec", dont_inherit=True), here)
try:
    pack_inputs({{"Tree": here["Tree"]}}, here)
except InputError as error:
    assert "Tree" in str(error)
    print("ok")
"""
NEWER = sorted(Path.home().glob(".pyenv/versions/3.1[2-9]*/bin/python"))


@pytest.mark.skipif(not NEWER, reason="no Python 3.12 or newer of pyenv")
@pytest.mark.parametrize("python", NEWER, ids=lambda path: path.parts[-3])
def test_b5_type_aliases_and_parameters_travel(python: Path, tmp_path: Path) -> None:
    """B5: ``type`` statements and type parameters of Python 3.12 and newer arrive, and come back as themselves.

    Only a generic alias that refers to itself cannot be sent; an error names it.
    """
    import cloudpickle

    (tmp_path / "cloudpickle").symlink_to(Path(cloudpickle.__file__).parent)
    paths = [str(tmp_path), str(Path(identity.__file__).parents[3]), str(Path(__file__).parents[3])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([python, "-c", NEW_PROGRAM], env=env, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr
