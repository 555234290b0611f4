"""Exceptions that are values travel with their cause and context, on both ways and to another Python."""

from __future__ import annotations

import copyreg
import threading
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from podtask.pickling.inputs import pack_inputs
from podtask.runner.bundle import MINOR

from tests.unit.packing import OTHER, Pod

Notebook = Callable[[str], dict[str, Any]]
CHAINS = """
class Mine(Exception):
    def __init__(self, one, two):
        super().__init__(one + two)
        self.one = one
def raised(function):
    try:
        function()
    except Exception as error:
        return error
def caused():
    try:
        {}["k"]
    except KeyError as error:
        raise ValueError("v") from error
def during():
    try:
        caused()
    except ValueError:
        open("/nonexistent/f")
def hidden():
    try:
        1 / 0
    except ZeroDivisionError:
        raise Mine(1, 2) from None
def own():
    try:
        hidden()
    except Mine as error:
        raise Mine(3, 4) from error
saved = [raised(each) for each in (caused, during, hidden, own)]
circle = [ValueError("a"), TypeError("b")]
circle[0].__cause__, circle[1].__context__ = circle[1], circle[0]
saved += circle
"""


def _described(error: Any) -> Any:
    """Return an exception's arguments and attributes, and those of its links, as far as they do not repeat."""
    found: list[Any] = []
    todo, seen = [error], set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            found.append(each is None)
            continue
        seen.add(id(each))
        found.append((type(each).__name__, each.args, vars(each), each.__suppress_context__))
        todo += [each.__cause__, each.__context__]
    return found


@pytest.mark.parametrize("python", [MINOR, OTHER])
def test_causes_and_contexts_of_exceptions_travel(notebook: Notebook, python: str) -> None:
    """B: pickle leaves them out; ``raise ... from None``, attributes, and circles arrive as they were, and come back."""
    namespace = notebook(CHAINS)
    inputs = pack_inputs({name: namespace[name] for name in ("saved", "Mine")}, namespace, python)
    pod = Pod(inputs)
    wanted = [_described(each) for each in namespace["saved"]]
    assert [_described(each) for each in pod.names["saved"]] == wanted
    assert pod.names["saved"][4].__cause__.__context__ is pod.names["saved"][4]
    assert all(each.__traceback__ is None for each in pod.names["saved"])
    pod.run("back = [*saved]")
    back = pod.unpack(*pod.pack(["back"], mode="pickle" if python == MINOR else "data"))["back"]
    assert [_described(each) for each in back] == wanted
    assert type(back[3].__cause__) is namespace["Mine"]


@pytest.mark.parametrize("python", [MINOR, OTHER])
def test_link_that_cannot_be_sent_is_left_out(notebook: Notebook, python: str) -> None:
    """B: an exception arrives without a cause that cannot be pickled, or that only an installed library defines."""
    namespace = notebook("kept = ValueError('v'); more = KeyError('k')")
    kept: Any = namespace["kept"]
    kept.__cause__ = OSError(threading.Lock())
    kept.__cause__.__context__ = TypeError("not reached")
    kept.__context__ = yaml.YAMLError("of a library")
    namespace["more"].__context__ = TypeError("t")
    pod = Pod(pack_inputs({"errors": [kept, namespace["more"]]}, namespace, python))
    first, second = pod.names["errors"]
    assert (first.args, first.__cause__, first.__context__, first.__suppress_context__) == (
        ("v",),
        None,
        None,
        True,
    )
    assert second.__context__.args == ("t",)


def test_long_chain_is_pickled_in_one_pass(notebook: Notebook) -> None:
    """B: checking whether a link can be pickled looks at that link alone: the effort does not double with each one."""
    source = "calls = []\nclass Link(Exception):\n    def __reduce__(self):\n        calls.append(1)\n"
    namespace = notebook(f"{source}        return Link, self.args")
    first = error = namespace["Link"](0)
    for number in range(1, 30):
        error.__context__ = namespace["Link"](number)
        error = error.__context__
    pod = Pod(pack_inputs({"first": first}, namespace))
    assert len(namespace["calls"]) <= 2 * 30
    for number in range(30):
        assert first.args == (number,)
        first = first.__context__
    assert pod.names["first"].__context__.args == (1,)


def test_exceptions_with_a_reducer_of_their_own_use_it(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B: a library may have registered how exceptions are pickled, tracebacks included."""
    namespace = notebook("error = ValueError('v')")
    namespace["error"].__cause__ = KeyError("k")
    monkeypatch.setitem(copyreg.dispatch_table, ValueError, lambda error: (ValueError, ("registered",)))
    pod = Pod(pack_inputs({"error": namespace["error"]}, namespace))
    assert pod.names["error"].args == ("registered",)
