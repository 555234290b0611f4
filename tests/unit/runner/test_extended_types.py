"""Instances of classes that extend a type of Python or numpy arrive as they were (rows B1, B3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from podtask.pickling.inputs import pack_inputs
from podtask.runner.bundle import MINOR

from tests.unit.packing import OTHER, Pod

SOURCE = """
import collections, datetime, decimal, fractions
import numpy as np
calls = []
class Temp(float):
    def __new__(cls, value, unit):
        calls.append(cls.__name__)
        made = super().__new__(cls, value)
        made.unit = unit
        return made
class Name(str):
    def __new__(cls, first, last):
        calls.append(cls.__name__)
        made = super().__new__(cls, f"{first} {last}")
        made.last = last
        return made
class Id(int):
    def __new__(cls, *, number):
        calls.append(cls.__name__)
        return super().__new__(cls, number)
class Pair(tuple):
    __slots__ = ()
    def __new__(cls, a, b):
        calls.append(cls.__name__)
        return super().__new__(cls, (a, b))
class Tags(frozenset):
    def __new__(cls, *names):
        calls.append(cls.__name__)
        made = super().__new__(cls, names)
        made.first = names[0]
        return made
class Blob(bytes):
    def __new__(cls, text, encoding="utf8"):
        calls.append(cls.__name__)
        made = super().__new__(cls, text.encode(encoding))
        made.encoding = encoding
        return made
class Money(decimal.Decimal):
    def __new__(cls, value, currency):
        calls.append(cls.__name__)
        made = super().__new__(cls, value)
        made.currency = currency
        return made
    def __str__(self): return "money"
class Half(fractions.Fraction):
    def __new__(cls, number):
        calls.append(cls.__name__)
        made = super().__new__(cls, number, 2)
        made.note = "half"
        return made
class Day(datetime.date):
    def __new__(cls, text):
        calls.append(cls.__name__)
        made = super().__new__(cls, *map(int, text.split("-")))
        made.text = text
        return made
class Moment(datetime.datetime): pass
class Span(datetime.timedelta): pass
class Array(np.ndarray): pass
class Bag(collections.Counter): pass
class Default(collections.defaultdict):
    def __init__(self, *items):
        calls.append("Default")
        super().__init__(list, items)
class Last(collections.deque):
    def __init__(self, size):
        calls.append("Last")
        super().__init__((), size)
class Log(list):
    def __new__(cls, *items):
        calls.append(cls.__name__)
        return super().__new__(cls)
    def __init__(self, *items): super().__init__(items)
    def append(self, item):
        calls.append("append")
        super().append(item)
    def extend(self, items):
        for item in items: self.append(item)
class Lower(dict):
    def __setitem__(self, name, value):
        calls.append(name)
        super().__setitem__(name.lower(), value)
class Steps(collections.OrderedDict):
    def __init__(self, first):
        calls.append("Steps")
        super().__init__()
        self[first] = 1
class Names(set):
    def __init__(self, *names):
        calls.append("Names")
        super().__init__(names)
class Point(collections.namedtuple("Point", "x y")):
    def __new__(cls, text):
        calls.append(cls.__name__)
        return super().__new__(cls, *text.split())
class Slotted(float):
    __slots__ = ("unit",)
"""
MADE = {
    "Temp(1.5, 'C')": "value.unit",
    "Name('Ada', 'King')": "value.last",
    "Id(number=4)": "value + 1",
    "Pair(1, 2)": "value[1]",
    "Tags('x')": "value.first",
    "Blob('é', 'latin1')": "value.encoding",
    "Money('1.50', 'EUR')": "value.currency, value + 1",
    "Half(3)": "value.note, value + 1",
    "Day('2024-02-29')": "value.text, value.year",
    "Moment(2024, 1, 2, 3)": "value.hour",
    "Span(3)": "value.days",
    "np.arange(3).view(Array)": "value.sum()",
    "Bag('aab')": "value['a']",
    "Default(('a', [1]))": "value['a'], value['new']",
    "Last(2)": "value.maxlen",
    "Log(1, 2)": "len(value)",
    "Lower(A=1)": "[*value]",
    "Steps('one')": "[*value]",
    "Names('x')": "[*value]",
    "Point('1 2')": "value.x, value.y",
    "Slotted(2)": "value * 2",
}


@pytest.mark.parametrize("python", [MINOR, OTHER])
@pytest.mark.parametrize("made", MADE)
def test_b3_instances_of_extended_types(
    made: str, python: str, notebook: Callable[[str], dict[str, Any]]
) -> None:
    """B3: a number, a text or a container with a class of the notebook has its attributes; no method runs again."""
    has_attributes = not made.startswith(("Pair", "Point"))
    marked = "\nvalue.unit = ['marked']" if has_attributes and "Temp" not in made else ""
    namespace = notebook(f"{SOURCE}\nvalue = {made}{marked}\ncalls.clear()")
    names = ["value", "calls", made.partition("(")[0] if "np." not in made else "Array"]
    pod = Pod(pack_inputs({name: namespace[name] for name in names}, namespace, python))
    look = f"repr(value), type(value).__name__, {MADE[made]}, getattr(value, 'unit', None), calls"
    pod.run(f"found = repr(({look}))")
    assert pod.names["found"] == repr(eval(f"({look})", namespace))


def test_b3_containers_that_contain_themselves(notebook: Callable[[str], dict[str, Any]]) -> None:
    """B3: an extended list that contains itself arrives, and one object stays one object."""
    namespace = notebook(
        f"{SOURCE}\nlog = Log()\nlist.append(log, log)\nname = Name('a', 'b')\nboth = [name, name, log]"
    )
    pod = Pod(pack_inputs({name: namespace[name] for name in ("both", "log", "calls")}, namespace))
    pod.run("found = log[0] is log, both[0] is both[1], both[2] is log")
    assert pod.names["found"] == (True, True, True)
