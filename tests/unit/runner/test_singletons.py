"""Objects that go by their name in both directions (row I)."""

from __future__ import annotations

import os
import pickle
import random
import sys
import threading
import types
from typing import Any

import pytest
from podtask.pickling.inputs import pack_inputs
from podtask.runner.pickler import Packer

from tests.notebook import Shell
from tests.unit.packing import remote


class Collector:
    """A file in memory that takes buffers too."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)

    def write_buffer(self, view: Any) -> None:
        self.data += bytes(view)


def round_trip(value: Any, plain: bool) -> Any:
    """Return a value as the other side would have it, here in the same process."""
    file = Collector()
    with Packer(file, {}, plain) as packer:
        packer.dump(value)
    return pickle.loads(file.data)


@pytest.mark.parametrize("plain", [True, False])
def test_i_streams(plain: bool) -> None:
    """I: the standard streams are those of the process that unpickles them, also inside other values."""
    streams = [sys.stdin, sys.stdout, sys.stderr]
    assert round_trip({"out": streams}, plain)["out"] == streams


@pytest.mark.parametrize("plain", [True, False])
def test_i_methods_of_streams(plain: bool, shell: Shell) -> None:
    """I: ``sys.stderr.write``, which IPython replaces while a cell runs, is that of the other process's stream."""
    shell.run("import sys\nwrites = [sys.stdout.write, sys.stderr.write]")
    assert round_trip(shell["writes"], plain) == [sys.stdout.write, sys.stderr.write]


@pytest.mark.parametrize("plain", [True, False])
def test_c6_environment(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """C6: os.environ is that of the process that unpickles it; none of its values are in the pickle."""
    monkeypatch.setenv("C6_TOKEN", "a secret value")
    file = Collector()
    with Packer(file, {}, plain) as packer:
        packer.dump([os.environ, {"env": os.environ}])
    assert b"a secret value" not in file.data
    assert pickle.loads(file.data)[0] is os.environ


@pytest.mark.parametrize("plain", [True, False])
def test_i_functions_of_random(plain: bool) -> None:
    """I: a function of random draws from the generator of the process, not from a copy of it."""
    found = round_trip([random.random, random.randint], plain)
    assert found[0].__self__ is random.random.__self__  # type: ignore[attr-defined]
    assert found[1].__self__ is random.randint.__self__  # type: ignore[attr-defined]


def _library(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> types.ModuleType:
    module = types.ModuleType("i_library")
    kind = type("Logger", (), {"__module__": "i_library.core"})
    for name, value in attributes.items():
        instance = kind()
        instance.inside = value
        setattr(module, name, instance)
    monkeypatch.setitem(sys.modules, "i_library", module)
    core = types.ModuleType("i_library.core")
    core.Logger = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "i_library.core", core)
    return module


def test_i_singleton_of_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """I: an instance at the top of a package goes by name if it cannot be pickled (loguru#1430)."""
    module: Any = _library(monkeypatch, logger=threading.Lock())
    found = round_trip([module.logger, module.logger], plain=True)
    assert found[0] is found[1] is module.logger


def test_i_picklable_instances_go_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """I: what can be pickled is a copy as before, and so is an instance that the package does not have."""
    module: Any = _library(monkeypatch, config=[1])
    found = round_trip(module.config, plain=True)
    assert found is not module.config
    assert found.inside == [1]
    other = type(module.config)()
    other.inside = threading.Lock()
    with pytest.raises(TypeError):
        round_trip(other, plain=True)


def test_i_default_argument(capsys: pytest.CaptureFixture[str]) -> None:
    """I: a function whose default argument is stdout prints to that of the pod."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("import sys\ndef log(*words, to=sys.stdout):\n    print(*words, file=to)", namespace)
    assert remote(pack_inputs({"log": namespace["log"]}, namespace), "log('hello', 1)") == "hello 1\n"


@pytest.mark.parametrize("plain", [True, False])
def test_parsers_of_lark_work(plain: bool) -> None:
    """I: a parser compares the actions in its tables with those of its module."""
    lark = pytest.importorskip("lark")
    parser = round_trip(lark.Lark('start: "a" start | "b"', parser="lalr"), plain)
    assert [*parser.parse("aab").find_data("start")][0].children == []
