"""Definitions are sent as source to a pod with another minor Python version."""

from __future__ import annotations

import collections.abc
import functools
import importlib
import io
import math
import os.path
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podtask.cell.scopes import free_names
from podtask.errors import InputError
from podtask.pickling.inputs import pack_inputs
from podtask.runner.bundle import MINOR
from podtask.runner.streams import Stream

from tests.unit.packing import FILE, OTHER, Pod, definitions, remote

Notebook = Callable[[str], dict[str, Any]]


def test_function_for_another_minor_travels_as_source(notebook: Notebook) -> None:
    """A function is sent as source, together with the functions, modules and data that it uses."""
    notebook("import math\nk = 2\n")
    notebook("def square(x):\n    return x * x * k\n")
    namespace = notebook("\n\ndef area(r):\n    return math.floor(math.pi * square(r))\n")
    inputs = pack_inputs({"area": namespace["area"]}, namespace, OTHER)
    assert inputs.about["steps"] == [
        ("\n\ndef area(r):\n    return math.floor(math.pi * square(r))", FILE.format(3)),
        ("import importlib; math = importlib.import_module('math')", "<podtask imports>"),
        ("def square(x):\n    return x * x * k", FILE.format(2)),
        "k",
    ]
    assert inputs.about["mode"] == "data"
    assert remote(inputs, "print(area(2)); k = 3; print(area(2))") == "25\n37\n"


def test_source_of_a_function_keeps_its_lines(notebook: Notebook) -> None:
    """A traceback in the pod shows the line of the notebook's cell."""
    namespace = notebook("a = 1\n\ndef half(x):\n    return x / 0\n")
    inputs = pack_inputs({"half": namespace["half"]}, namespace, OTHER)
    cell = "try:\n    half(1)\nexcept ZeroDivisionError as e:\n    t = e.__traceback__.tb_next\n"
    cell += "    print(t.tb_frame.f_code.co_filename, t.tb_lineno)"
    assert remote(inputs, cell) == f"{FILE.format(1)} 4\n"


DECORATED = """
import functools
def keep(f):
    @functools.wraps(f)
    def within():
        return f()
    return within
def one():
    return 1
def both():
    return keep(one)() + 1
"""


@pytest.mark.parametrize(
    ("source", "name", "cell"),
    [
        ("def f(n):\n    return n * f(n - 1) if n else 1", "f", "f(5)"),
        ("def f(n):\n    return g(n)\ndef g(n):\n    return f(n - 1) if n else 7", "f", "f(3)"),
        ("double = lambda x: 2 * x", "double", "double(4)"),
        ('def f():\n    """Says\n    much."""\n    return f.__doc__', "f", "f()"),
        ("class P:\n    def m(self):\n        return h(2)\ndef h(v):\n    return v * 3", "P", "P().m()"),
        ("class A:\n    a = 1\nclass B(A):\n    b = 2", "B", "B.a + B.b"),
        (DECORATED, "both", "both()"),
        ("from typing import NewType\nU = NewType('U', int)", "U", "U(4)"),
    ],
    ids=["recursive", "mutual", "lambda", "docstring", "class", "base class", "nested", "new type"],
)
def test_definition_works_on_the_other_side(notebook: Notebook, source: str, name: str, cell: str) -> None:
    """A definition sent as source behaves as in the notebook."""
    namespace = notebook(source)
    inputs = pack_inputs({name: namespace[name]}, namespace, OTHER)
    assert remote(inputs, f"print({cell})") == f"{eval(cell, namespace)}\n"


def test_newest_definition_of_a_class_travels(notebook: Notebook) -> None:
    """If a class was defined twice, the source in the second cell is sent."""
    notebook("class P:\n    x = 1\n")
    namespace = notebook("\nclass P:\n    x = 2\n")
    inputs = pack_inputs({"P": namespace["P"]}, namespace, OTHER)
    assert definitions(inputs) == [("\nclass P:\n    x = 2", FILE.format(2))]


@pytest.mark.parametrize(
    ("source", "cell"),
    [
        (
            "try:\n    import missing_module\nexcept ImportError:\n    class P:\n        text = '''a\n  b'''\n"
            "        def get(self): return self.text\nelse:\n    class P:\n        def get(self): return 0",
            "P().get()",
        ),
        ("for n in 'ab':\n    class P:\n        k = 2\n        def get(self): return self.k", "P().get()"),
        ("if P().get() == 0:\n    class P:\n        def get(self): return 3", "P().get()"),
    ],
    ids=["try", "loop", "not executed"],
)
def test_class_statement_within_another_statement(notebook: Notebook, source: str, cell: str) -> None:
    """The statement that has defined a class is found below others; its functions tell which one it is."""
    notebook("class P:\n    def get(self):\n        return 1\n")
    namespace = notebook(source)
    inputs = pack_inputs({"P": namespace["P"]}, namespace, OTHER)
    assert remote(inputs, f"print({cell})") == f"{eval(cell, namespace)}\n"


SETATTR = """
calls = []
class Meta(type):
    def __setattr__(kind, name, value):
        calls.append(name)
        super().__setattr__(name, value)
class Row(metaclass=Meta): pass
class Sub(Row):
    def __init__(self): self.n = [1]
rows = [Row(), Sub()]
rows[0].n = 2
"""


def test_nothing_is_set_on_a_class_by_its_metaclass(notebook: Notebook) -> None:
    """A1: pickle's list of slots is not set by the ``__setattr__`` of a metaclass, neither here nor in the pod."""
    namespace = notebook(SETATTR)
    names = ("rows", "calls", "Row", "Sub")
    pod = Pod(pack_inputs({name: namespace[name] for name in names}, namespace, OTHER))
    pod.run("found = [each.n for each in rows], calls")
    assert pod.names["found"] == ([2, [1]], [])
    assert namespace["calls"] == []
    assert "__slotnames__" not in vars(namespace["Row"])


def test_installed_things_are_imported_for_another_minor() -> None:
    """Modules and their functions and classes are imported in the pod under the notebook's names."""
    values = {
        "m": math,
        "c": collections.abc,
        "p": os.path,
        "root": math.sqrt,
        "Part": functools.partial,
    }
    inputs = pack_inputs(values, {}, OTHER)
    cell = "print(m.pi > 3, c.Sized.__name__, p.basename('a/b'), root(16), Part(int, base=2)('11'))"
    assert inputs.parts == ()
    assert remote(inputs, cell) == "True Sized b 4.0 3\n"


@pytest.mark.parametrize(
    ("patch", "cell"),
    [
        ("def area(self):\n    return self.w * k\nP.area = area", "P().area(), area(P())"),
        ("def area(self):\n    return self.w * k\nP.area = area\ndel area", "P().area()"),
        ("def other(self):\n    return self.w + 1\nP.w3 = property(other)\nother = 'mine'", "P().w3, other"),
        ("P.area = lambda self: self.w * k", "P().area()"),
        (
            "def make(cls, w):\n    p = cls()\n    p.w = w\n    return p\nP.make = classmethod(make)",
            "P.make(8).w",
        ),
        ("def __repr__(self):\n    return 'a P'\nP.__repr__ = __repr__\ndel __repr__", "P()"),
        ("def said(self):\n    return 'later'\nP.said = said", "P().said()"),
    ],
    ids=["named", "deleted", "name of a value", "lambda", "class method", "dunder", "replaced"],
)
def test_methods_that_a_later_cell_has_set_come_with_their_class(
    notebook: Notebook, patch: str, cell: str
) -> None:
    """C5: a function that a later cell has set on a class of the notebook works on the other side."""
    notebook("k = 2\nclass P:\n    w = 3\n    def said(self):\n        return 'first'\n")
    namespace = notebook(patch)
    names: dict[str, Any] = {name: namespace[name] for name in ("P", "area", "other") if name in namespace}
    inputs = pack_inputs(names, namespace, OTHER)
    assert remote(inputs, f"print(repr(({cell})))") == f"{eval(cell, namespace)!r}\n"


ATTRIBUTES = """
import abc, dataclasses, enum, functools, threading
class Model:
    rate, seen = 1, {}
    made = [rate]
class Phase(enum.Enum):
    SOLID = "s"
    GAS = "g"
    def __init__(self, letter):
        self.next = None
class Base(abc.ABC):
    known = {}
    def __init_subclass__(cls):
        cls.known[cls.__name__] = cls
class One(Base):
    pass
def count():
    count.calls += 1
    return count.calls
def logged(f):
    @functools.wraps(f)
    def run(*args):
        return ["logged", f(*args)]
    return run
class Net:
    def fit(self, n):
        return n
    def name(self):
        return "net"
def twice(n):
    return 2 * n
class Point:
    x: int = 3
"""


@pytest.mark.parametrize(
    ("name", "later", "cell"),
    [
        (
            "Model",
            "Model.rate = 7; Model.seen['a'] = 1; Model.made.append(2)",
            "Model.rate, Model.seen, Model.made",
        ),
        ("Model", "Model.extra = [Model.seen]; seen = Model.seen", "Model.extra[0] is Model.seen"),
        ("Model", "Model.lock = threading.Lock()", "Model.rate"),
        (
            "Model",
            "class Sub(Model):\n    Model.rate += 1\nModel.kinds = [Sub]",
            "Model.rate, len(Model.kinds)",
        ),
        (
            "Phase",
            "Phase.SOLID.next = Phase.GAS\nPhase.GAS.note = ['x']",
            "Phase.SOLID.next is Phase.GAS, Phase.GAS.note",
        ),
        (
            "Phase",
            "Phase.GAS.first = Phase\nPhase.default = 'g'",
            "Phase.GAS.first is Phase, Phase(Phase.default)",
        ),
        ("Base", "", "Base.known['One'].__mro__[1] is Base"),
        ("count", "count.calls = 4", "count()"),
        (
            "count",
            "count.calls, count.models = 0, [Model()]\nModel.rate = 9",
            "count(), count.models[0].rate",
        ),
        ("Net", "Net.fit = logged(Net.fit)", "Net().fit(3)"),
        ("Net", "Net.fit = logged(Net.fit)\nNet.fit = logged(Net.fit)", "Net().fit(3)"),
        ("Net", "Net.fit = logged(Net.fit)\nNet.fit = Net.fit.__wrapped__", "Net().fit(3)"),
        ("Net", "Net.half = functools.partialmethod(Net.fit, 0.5)", "Net().half(), Net().name()"),
        (
            "Net",
            "Net.fit.label = ['x']; Net.fit.net = Net",
            "Net.fit.label, Net.fit.net is Net, Net().fit(3)",
        ),
        (
            "Base",
            "class Far: pass\nBase.register(Far); Base.register(int)",
            "issubclass(Far, Base), isinstance(1, Base), issubclass(str, Base)",
        ),
        ("twice", "twice = logged(twice)", "twice(4)"),
        ("Point", "Point = dataclasses.dataclass(Point)", "Point(5), Point() == Point(3)"),
    ],
)
def test_what_is_set_on_a_definition_later_comes_with_it(
    notebook: Notebook, name: str, later: str, cell: str
) -> None:
    """B: attributes of classes, functions and members, and decorators that are called later, reach another Python."""
    notebook(ATTRIBUTES)
    namespace = notebook(later)
    inputs = pack_inputs({name: namespace[name]}, namespace, OTHER)
    found = remote(inputs, f"print(repr(({cell})))")
    assert found == f"{eval(f'({cell})', namespace)!r}\n"


@pytest.mark.parametrize(
    "patch",
    [
        "for n in 'ab': setattr(P, n, lambda self: 1)",
        "import functools\n@functools.cache\ndef f(self): ...\nP.f = f",
    ],
)
def test_methods_without_a_plain_source_do_not_hinder(notebook: Notebook, patch: str) -> None:
    """A class arrives without the functions that cannot be set again."""
    notebook("class P:\n    w = 3\n")
    namespace = notebook(patch)
    inputs = pack_inputs({"P": namespace["P"]}, namespace, OTHER)
    assert remote(inputs, "print(P().w)") == "3\n"


@pytest.mark.parametrize("name", ["lost", "Lost"])
def test_definition_without_source_is_refused(name: str) -> None:
    """A definition without source cannot be sent to another Python version, and the error names it."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def lost():\n    pass\nclass Lost:\n    pass\n", namespace)
    with pytest.raises(InputError, match=f"{name} cannot be sent from Python {MINOR} to 3.9: its source"):
        pack_inputs({name: namespace[name]}, namespace, OTHER)


DATA = """
import dataclasses, enum, functools, collections
FACTOR = 3
@dataclasses.dataclass
class Point:
    x: int = FACTOR
    def far(self):
        return self.x * FACTOR
class Colour(enum.Enum):
    RED = 1
Pair = collections.namedtuple("Pair", "a b")
@functools.lru_cache
def slow(n):
    return n * FACTOR
def scale(x, by=FACTOR):
    return x * by
points = [Point(1), Point(2)]
"""


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("points", "[p.far() for p in points], type(points[0]) is Point"),
        ("Colour", "Colour.RED.value"),
        ("slow", "slow(4)"),
        ("scale", "scale(5)"),
    ],
)
def test_classes_and_instances_go_to_another_minor(notebook: Notebook, name: str, cell: str) -> None:
    """Classes are sent before their instances, and definitions after the names that they use."""
    namespace = notebook(DATA)
    inputs = pack_inputs({name: namespace[name]}, namespace, OTHER)
    assert remote(inputs, f"print(({cell}))") == f"{eval(f'({cell})', namespace)}\n"


def test_methods_of_instances_are_data_for_another_minor(notebook: Notebook) -> None:
    """C3: functions that are methods of an instance, such as those of random, keep their instance."""
    namespace = notebook("from random import random, randint\npush = [1].append\nnew = dict.fromkeys")
    values = {name: namespace[name] for name in ("random", "randint", "push", "new")}
    inputs = pack_inputs(values, namespace, OTHER)
    cell = "import random as r; r.seed(3); found = random(), randint(1, 9); r.seed(3); push(2)\n"
    cell += "print(found == (r.random(), r.randint(1, 9)), push.__self__, new('a'))"
    assert remote(inputs, cell) == "True [1, 2] {'a': None}\n"


def test_dict_with_attributes_goes_to_another_minor(notebook: Notebook) -> None:
    """J3: an object whose __getattr__ raises an error of its own is data."""
    namespace = notebook("class Bag(dict):\n    __getattr__ = dict.__getitem__\nbag = Bag(a=1)")
    inputs = pack_inputs({"bag": namespace["bag"]}, namespace, OTHER)
    assert remote(inputs, "print(bag.a, type(bag) is Bag)") == "1 True\n"


MADE = """
import functools
double = eval("lambda n: 2 * n")
halves = [eval("lambda n: n / 2")]
def adder(k):
    def add(n): return n + k
    return add
plus = adder(1)
def traced(function):
    def call(*args): return function(*args)
    return call
class Shop:
    def price(self): return 3
kept = functools.lru_cache(plus)
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Return an installed module whose functions were made while it was imported."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "made_functions.py").write_text(MADE)
    monkeypatch.syspath_prepend(folder)
    module = importlib.import_module("made_functions")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize(
    ("source", "cell"),
    [
        ("from made_functions import double as f", "f(3)"),
        ("from made_functions import plus as f", "f(3)"),
        ("from made_functions import Shop; f = Shop.price", "f(None)"),
        ("from made_functions import kept as f", "f(3)"),
        ("from concurrent.futures import Future as f", "f().done()"),
        ("from types import FunctionType as f", "type(eval) is f, f.__name__"),
        ("from types import MappingProxyType as f", "f({1: 2})"),
    ],
    ids=["eval", "closure", "method", "cache", "private module", "function type", "type of types"],
)
def test_definition_of_a_module_is_imported_by_a_name_that_it_has_there(
    notebook: Notebook, made: types.ModuleType, source: str, cell: str
) -> None:
    """What a module made while it was imported has another name there than its own, or is in a private module."""
    namespace = notebook(source)
    inputs = pack_inputs({"f": namespace["f"]}, namespace, OTHER)
    [step] = definitions(inputs)
    assert "._" not in step[0]
    pod = Pod(inputs)
    pod.run(f"found = repr(({cell}))")
    assert pod.names["found"] == repr(eval(f"({cell})", namespace))


@pytest.mark.parametrize(
    "source",
    [
        "from made_functions import adder; f = adder(2)",
        "from made_functions import traced\n@traced\ndef f(n): return n",
    ],
    ids=["closure", "decorator"],
)
def test_function_that_code_of_a_module_has_made_is_sent(
    notebook: Notebook, made: types.ModuleType, source: str
) -> None:
    """The source in the file of the module makes it in the pod, with the globals of the module there."""
    namespace = notebook(source)
    pod = Pod(pack_inputs({"f": namespace["f"]}, namespace, OTHER))
    assert pod.names["f"](3) == namespace["f"](3)
    assert pod.names["f"].__globals__ is vars(made)


def test_definition_that_its_module_has_under_no_name_is_refused(
    notebook: Notebook, made: types.ModuleType
) -> None:
    """A function without source that has no name in its module can neither be imported nor sent."""
    namespace = notebook("import made_functions; f = made_functions.halves[0]")
    told = f"f cannot be sent from Python {MINOR} to {OTHER}: code of the module made_functions created it"
    with pytest.raises(InputError, match=told):
        pack_inputs({"f": namespace["f"]}, namespace, OTHER)


def test_definition_of_a_module_that_was_reloaded_is_imported(
    notebook: Notebook, made: types.ModuleType
) -> None:
    """After a reload, the module has another function under the name: the pod imports that one."""
    namespace = notebook("from made_functions import adder as f")
    exec(MADE, vars(made))
    inputs = pack_inputs({"f": namespace["f"]}, namespace, OTHER)
    assert Pod(inputs).names["f"] is made.adder


MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table
from sqlalchemy.orm import declarative_base, relationship
meta = MetaData()
Base = declarative_base(metadata=meta)
links = Table("links", meta, Column("page", ForeignKey("pages.id")), Column("tag", ForeignKey("tags.id")))
class Page(Base):
    __tablename__ = "pages"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    tags = relationship("Tag", secondary=links, back_populates="pages")
class Tag(Base):
    __tablename__ = "tags"
    id = Column(Integer, primary_key=True)
    pages = relationship(Page, secondary=links, back_populates="tags")
def first_title(pages): return [each.title for each in pages][0]
page = Page(title="one")
"""


@pytest.mark.parametrize("python", [MINOR, OTHER])
@pytest.mark.parametrize(
    ("names", "cell", "output"),
    [
        (
            ["Page", "first_title"],
            "page = Page(title='new')\nprint(first_title([page]), page.tags)",
            "new []\n",
        ),
        (
            ["page"],
            "print(page.title, page.tags, type(page).__table__.metadata.tables.keys() >= {'links'})",
            "one [] True\n",
        ),
        (
            ["links"],
            "print(links.c.keys(), links.metadata is Page.__table__.metadata)",
            "['page', 'tag'] True\n",
        ),
        (["meta"], "print(sorted(meta.tables), Base.metadata is meta)", "['links', 'pages', 'tags'] True\n"),
    ],
    ids=["a model", "an instance", "a table", "the metadata"],
)
def test_b7_models_of_sqlalchemy(
    notebook: Notebook, python: str, names: list[str], cell: str, output: str
) -> None:
    """B7: all models and tables are made by their statements, whatever Python the pod has."""
    pytest.importorskip("sqlalchemy")
    namespace = notebook(MODELS)
    inputs = pack_inputs({name: namespace[name] for name in names}, namespace, python)
    assert remote(inputs, cell) == output


REGISTRIES = """
import abc, collections, enum, functools, typing, weakref
handlers = {"start": [], "stop": []}
by_name, order, numbers = {}, [], collections.Counter()
kinds, alive = collections.defaultdict(dict), weakref.WeakValueDictionary()
count, chain = 0, ()
def on(event):
    def add(function):
        global count, chain
        if function.__name__ in by_name:
            raise ValueError(f"{function.__name__} is there already")
        handlers[event].append(function)
        by_name[function.__name__] = function
        order.append(function)
        numbers[event] += 1
        count, chain = count + 1, (*chain, function)
        return function
    return add
@on("start")
def started(): return sorted(by_name)
@on("stop")
def stopped(): return count
class Plugins(dict):
    def __init__(self):
        self.latest = None
    def add(self, kind):
        self[kind.__name__.lower()] = self.latest = kind
        return kind
plugins = Plugins()
@plugins.add
class Reader: pass
@plugins.add
class Writer(Reader): pass
class Base:
    def __init_subclass__(cls, **more):
        kinds[cls.__name__]["class"] = cls
        alive[cls.__name__] = cls
class Sub(Base): pass
class App:
    def __init__(self):
        self.routes, self.hooks = {}, {"before": []}
    def route(self, path):
        def add(function):
            self.routes[path] = (function, len(self.routes))
            return function
        return add
    def before(self, function):
        self.hooks["before"].append(function)
        return function
app = App()
before = app.before
@app.route("/")
def home(): return list(app.routes)
@before
def check(): return app.hooks["before"][0] is check
def task(function):
    task.all.append(function)
    return function
task.all = []
class Rights(enum.IntFlag):
    READ = 4
    WRITE = 2
T = typing.TypeVar("T")
given = {"rights": Rights.READ | Rights.WRITE, "kinds": [T]}
def granted(function):
    given[function.__name__] = function
    return function
@granted
def allowed(): return given["rights"] is Rights(6), given["kinds"][0] is T, given["allowed"] is allowed
@task
def clean(): return [each.__name__ for each in task.all]
routes = app.routes
class Meta(type):
    kinds = {}
    def __init__(kind, name, bases, body):
        super().__init__(name, bases, body)
        Meta.kinds[name] = kind
class Column:
    made = 0
    def __init__(self):
        Column.made += 1
        self.place = Column.made
class Table:
    first, second = Column(), Column()
class Shape(metaclass=Meta): pass
class Circle(Shape): pass
"""


@pytest.mark.parametrize(
    ("names", "cell"),
    [
        ("started", "started(), handlers['start'] == [started], handlers['stop'] == [stopped]"),
        ("handlers started stopped", "handlers['start'][0] is started, len(handlers), stopped()"),
        ("order started", "[each.__name__ for each in order], order[0] is started, numbers['start']"),
        ("chain started", "[each.__name__ for each in chain], chain[0] is started, count"),
        (
            "plugins",
            "sorted(plugins), plugins['writer'] is Writer is plugins.latest, plugins['reader'] is Reader",
        ),
        ("Writer", "Writer.__name__, issubclass(Writer, Reader)"),
        ("kinds alive Sub", "[*kinds], kinds['Sub']['class'] is Sub, alive['Sub'] is Sub"),
        ("Sub", "Sub.__name__"),
        ("home", "home(), app.routes['/'] == (home, 0), type(app) is App"),
        ("app routes", "app.routes is routes, app.routes['/'][0] is home, app.hooks['before'] == [check]"),
        ("check", "check()"),
        ("before check", "before.__self__ is app, before(check) is check, len(app.hooks['before'])"),
        ("clean", "clean(), task.all[0] is clean"),
        ("allowed given", "allowed(), given['rights']"),
        (
            "Shape Circle",
            "sorted(Meta.kinds), Meta.kinds['Circle'] is Circle, Shape.__subclasses__() == [Circle]",
        ),
    ],
)
def test_registries_that_definitions_fill_go_to_another_minor(
    notebook: Notebook, names: str, cell: str
) -> None:
    """A2, B3: what decorators and hooks have registered in the notebook is there once, whatever name is sent first."""
    namespace = notebook(REGISTRIES)
    for order in (names.split(), names.split()[::-1]):
        sent = {name: namespace[name] for name in dict.fromkeys([*order, *_names_in(cell, namespace)])}
        pod = Pod(pack_inputs(sent, namespace, OTHER))
        pod.run(f"found = repr(({cell}))")
        assert pod.names["found"] == repr(eval(f"({cell})", namespace))


def _names_in(cell: str, namespace: dict[str, Any]) -> list[str]:
    return sorted(free_names(cell) & namespace.keys())


class RecordedText:
    """Takes the place of the writer of frames."""

    def __init__(self) -> None:
        self.text = b""

    def write_text(self, name: str, data: bytes) -> None:
        self.text += data

    def flush(self) -> None:
        """Do nothing; a stream that is freed flushes its writer."""


def test_definitions_print_nothing_once_more(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """B3: what a decorator prints has been shown by the notebook; a default argument still is the cell's stdout."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    source = "import sys\ndef told(function):\n    print('told')\n"
    source += "    return function\n@told\ndef say(word, to=sys.stdout): print(word, file=to)\n"
    namespace = notebook(source)
    recorded: Any = RecordedText()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Stream(recorded, name, 1))
    pod = Pod(pack_inputs({"say": namespace["say"]}, namespace, OTHER))
    pod.run("say('hello')")
    assert recorded.text == b"hello\n"


def test_new_does_not_run_again_in_another_minor(notebook: Notebook) -> None:
    """B3: an instance arrives without another call of the ``__new__`` of its class."""
    source = "class One:\n    made = 0\n    __slots__ = ('rows', '__dict__')\n    def __new__(cls, rows):\n"
    source += (
        "        One.made += 1\n        self = super().__new__(cls)\n        self.rows = self.more = rows\n"
    )
    namespace = notebook(source + "        return self\none = One([1])\n")
    pod = Pod(pack_inputs({name: namespace[name] for name in ("one", "One")}, namespace, OTHER))
    pod.run("found = one.rows is one.more, one.rows, One.made, type(one) is One")
    assert pod.names["found"] == (True, [1], 1, True)


DEFAULTS = """
import enum, itertools
count = 0
ids = itertools.count(1)
MISSING = object()
class Node:
    def __init__(self):
        global count
        count += 1
        self.place = count, next(ids)
class Shop:
    first = Node()
    def __init__(self): self.part = Node()
shop, nodes = Shop(), [Node(), Node()]
class Step(enum.Enum):
    LOAD = next(ids)
    FIT = [next(ids)]
    TRAIN = "train"
class Weight(enum.Enum):
    def __new__(cls, value):
        made = object.__new__(cls)
        made._value_ = value * next(ids)
        return made
    LIGHT = 2
    HEAVY = 3
def last(node=nodes[0], other=Node(), *, more=MISSING, kind=Shop): return node, other.place, more is MISSING, kind
def seen(word, words=[], *, log={}):
    words.append(word)
    log[word] = len(words)
    return words, log
short = lambda n=next(ids): n
def plain(n=1, *, names=("a", "b")): return n, names
seen("notebook")
"""


# From Python 3.12 on.
@pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support will be removed:DeprecationWarning")
def test_default_arguments_and_counters_go_to_another_minor(notebook: Notebook) -> None:
    """B: what constructors have counted, and default arguments, are the notebook's, not computed once more."""
    namespace = notebook(DEFAULTS)
    cell = (
        "(count, Shop.first.place, shop.part.place, [each.place for each in nodes], last()[1:], last()[0] is nodes[0], "
        "[each.value for each in [*Step, *Weight]], Weight(Weight.HEAVY.value).name, "
        "Step(Step.LOAD.value).name, Step([6]).name, short(), plain(), seen('pod'), Node().place, count, next(ids))"
    )
    names = free_names(cell) & namespace.keys()
    inputs = pack_inputs({name: namespace[name] for name in sorted(names)}, namespace, OTHER)
    assert "plain.__defaults__" not in inputs.about["steps"]
    pod = Pod(inputs)
    pod.run(f"found = repr({cell})")
    assert pod.names["found"].replace("Pod", "") == repr(eval(cell, namespace))


DISPATCH = """
import collections, decimal, functools
@functools.singledispatch
def kind(value): return "any"
class Own: pass
class Outer:
    class Inner: pass
@kind.register(int)
@kind.register(float)
def _(value): return f"number {twice(1)}"
@kind.register
def _(value: Own): return "own"
@kind.register(bytes)
def _(value): return "bytes"
@kind.register(decimal.Decimal)
@functools.lru_cache
def _(value): return "decimal"
def of_list(value): return "list"
kind.register(list, of_list)
kind.register(collections.OrderedDict, len)
@kind.register(float)
def real(value): return "real"
kind.register(Outer.Inner, real)
def twice(value): return 2 * value
class Shop:
    @functools.singledispatchmethod
    def price(self, value): return "any price"
    @price.register
    def _(self, value: int): return "price of a number"
@Shop.price.register(str)
def _(self, value): return "price of a text"
"""


@pytest.mark.parametrize("later", ["_ = 7", "@kind.register(bytes)\ndef _(value): return 'bytes'"])
def test_what_was_registered_with_singledispatch_goes_to_another_minor(
    notebook: Notebook, later: str
) -> None:
    """B4: functions of functools.singledispatch and singledispatchmethod arrive with what was registered with them."""
    notebook(DISPATCH)
    namespace = notebook(later)
    cell = (
        "[kind(each) for each in (1, 1.5, Own(), [], 'x', decimal.Decimal(3), collections.OrderedDict(a=1), "
    )
    cell += "Outer.Inner(), b'x')], Shop().price(3), Shop().price('x'), Shop().price([]), kind.__name__"
    names = [*_names_in(cell, namespace), "_"]
    pod = Pod(pack_inputs({name: namespace[name] for name in names}, namespace, OTHER))
    pod.run(f"found = repr(({cell}, _ == 7))")
    assert pod.names["found"] == repr(eval(f"({cell}, _ == 7)", namespace))


@pytest.mark.parametrize(
    ("register", "named"),
    [
        ("kind.register(int, (lambda value: 'int'))", r"kind \(registered for int\)"),
        ("kind.register(type('Hidden', (), {}), len)", r"kind \(registered for Hidden\)"),
        (
            "def make(n):\n    def own(value): return n\n    return own\nkind.register(int, make(3))",
            "registered for int",
        ),
    ],
)
def test_registration_that_cannot_be_made_again_is_refused(
    notebook: Notebook, register: str, named: str
) -> None:
    """B4: what was registered with singledispatch and has no name is refused before anything is sent."""
    namespace = notebook(f"import functools\n@functools.singledispatch\ndef kind(value): ...\n{register}\n")
    with pytest.raises(InputError, match=named):
        pack_inputs({"kind": namespace["kind"]}, namespace, OTHER)
