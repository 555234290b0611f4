"""Functions that have no name of their own go to a pod with another minor Python version with their source."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podtask.cell.scopes import free_names
from podtask.errors import InputError
from podtask.pickling.inputs import Inputs, pack_inputs
from podtask.runner.worker import definition_changes

from tests.interpreters import find_interpreter
from tests.unit.packing import OTHER, Pod, notebook_cells, remote, remote_all

Notebook = Callable[[str], dict[str, Any]]
MAKERS = r'''
import contextlib, functools, math
factor = 10
class Shop:
    rate = 2
    def __private(self): return "private"
    def seller(self):
        def sell(n): return n * self.rate, self.__private()
        return sell
    def parent(self):
        def shown(): return super().__repr__()[:5], __class__.__name__
        return shown
def adder(n, *, log=[]):
    """Makes."""
    def add(x: int, by=n * factor, *, more=(n,)) -> "sum":
        """Adds
  much."""
        log.append(x)
        return x + n + by + sum(more) + helper(x)
    add.label = [n]
    return add
def helper(x): return x * factor
def counter():
    count = 0
    def up():
        nonlocal count
        count += 1
        return count
    def now(): return count
    return up, now
def factorial():
    def fact(n): return n * fact(n - 1) if n else 1
    return fact
def parity():
    def even(n): return n == 0 or odd(n - 1)
    def odd(n): return n != 0 and even(n - 1)
    return even, odd
def plain():
    def inner(): return "no cells"
    return inner
def logged(function):
    @functools.wraps(function)
    def run(*args, **words): return ["logged", function(*args, **words)]
    return run
def bare(function):
    calls = []
    def call(*args):
        calls.append(args)
        return len(calls), function(*args)
    return call
def cached(n):
    @functools.lru_cache(maxsize=7)
    def slow(x): return x + n
    return slow
def managed(n):
    @contextlib.contextmanager
    def manager(x):
        yield x + n
    return manager
def generator(n):
    def count():
        for i in range(n):
            yield i
    return count
def waiting(n):
    async def wait(x): return x + n
    return wait
def three():
    def two():
        def one(): return deep, factor
        deep = "deep"
        return one
    return two()
def unset():
    def read(): return later
    if factor < 0: later = 1
    return read
def by_walrus(rows): return [lambda x: (y := x + n, y * n) for n in rows]
def wrapped(function):
    def run(*args): return function(*args)
    run.__name__, run.__qualname__ = function.__name__, function.__qualname__
    return run
def show(f, *args):
    try:
        return f(*args)
    except Exception as error:
        return type(error).__name__
def make_in_branch(flag):
    if flag:
        for n in range(3):
            try:
                def pick(): return "a", n
            finally:
                pass
        return pick
    return None
'''
PRINT = "import re; print(re.sub(r' at 0x\\w+', '', repr(({}))))"
# What the notebook makes, and what of it a cell computes.
CASES = {
    "closure": ("add = adder(3)", "add(1), add.label, add.__name__, add.__qualname__, add.__doc__"),
    "signature": ("add = adder(3)", "add.__defaults__, add.__kwdefaults__, add.__annotations__"),
    "module": ("add = adder(3)", "add.__module__, add.__globals__ is globals()"),
    "shared cells": ("up, now = counter(); up()", "up(), up(), now()"),
    "recursion": ("fact = factorial()", "fact(5), fact.__closure__[0].cell_contents is fact"),
    "mutual recursion": ("even, odd = parity()", "even(4), odd(4), even(3)"),
    "without cells": ("f = plain()", "f(), f.__closure__"),
    "list": ("fs = [adder(1), adder(2)]", "[f(1) for f in fs], fs[0].__code__ is fs[1].__code__"),
    "dict of lambdas": ("ops = {'add': lambda a, b: a + b, 'neg': lambda a: -a}", "ops['add'](1, 2), ops['neg'](3)"),
    "loop": ("fs = [lambda x, n=n: x * n for n in range(4)]", "[f(2) for f in fs]"),
    "late binding": ("def late(): return [lambda: i for i in range(3)]\nfs = late()", "[f() for f in fs]"),
    "partial": ("import functools; p = functools.partial(adder(1), 2, by=5)", "p(), p.func.label"),
    "lambda": ("double = lambda x: 2 * x\ntwice = double", "double(2), twice is double"),
    "lambda over lines": ("f = (lambda x,\n  y=factor:\n    [x,\n     y])", "f(1)"),
    "lambda in a call": ("f = sorted([3, 1], key=lambda v: -v) and (lambda v: [v])", "f(1)"),
    "conditional lambda": ("f = (lambda: 'a') if factor else (lambda: 'b')", "f()"),
    "lambda in a lambda": ("f = (lambda n: lambda x: x + n)(5)", "f(1)"),
    "walrus": ("fs = by_walrus([1, 2])", "[f(1) for f in fs]"),
    "wrapper of another name": ("fast = logged(helper)", "fast(2), fast.__wrapped__ is helper"),
    "wrapper of the same name": ("helper = logged(helper)", "helper(2)"),
    "wrappers in a list": ("fs = [logged(f) for f in (helper, plain)]", "fs[0](2), fs[1]()[1](), fs[0].__wrapped__ is helper"),
    "two wrappers": ("f = logged(bare(helper))", "f(1), f(2)"),
    "decorator without wraps": ("@bare\ndef twice(x): return 2 * x", "twice(1), twice(2)"),
    "decorator that copies the name": ("@wrapped\ndef twice(x): return 2 * x", "twice(4), twice.__name__"),
    "decorators": ("@bare\n@logged\ndef twice(x):\n    return 2 * x * factor", "twice(1)"),
    "cache": ("slow = cached(3)", "slow(1), slow(1), slow.cache_info(), slow.cache_parameters()"),
    "context manager": ("manager = managed(3)", "manager(1).__enter__(), manager.__name__"),
    "generator": ("g = generator(3)", "list(g())"),
    "coroutine": ("import asyncio; w = waiting(3)", "asyncio.run(w(1))"),
    "three levels": ("one = three()", "one()"),
    "empty cell": ("read = unset()", "show(read)"),
    "method's closure": ("sell = Shop().seller()", "sell(3)"),
    "super": ("shown = Shop().parent()", "show(shown)"),
    "closure over a class": ("def maker(kind): return lambda: kind().rate\nf = maker(Shop)", "f()"),
    "in branches": ("f = make_in_branch(True)", "f()"),
    "old definition of a name": (
        "def f(): return 1\nold = f\ndef f(): return 2", "old(), f(), old is f",
    ),
    "another name": ("def first(): return 1\nsecond = first", "second(), second is first"),
    "name that was deleted": ("def first(): return 1\nsecond = first\ndel first", "second(), 'first' in globals()"),
    "attribute of an instance": ("shop = Shop(); shop.price = lambda n: n * shop.rate", "shop.price(4)"),
    "attribute of a class": ("Shop.price = adder(1)\nShop.cost = lambda self: self.rate", "Shop().cost(), Shop.price(1)"),
    "attributes of a class in a loop": (
        "for name in ('a', 'b'):\n    setattr(Shop, name, lambda self, name=name: name)", "Shop().a(), Shop().b()",
    ),
    "attribute of a function": ("helper.other = lambda x: helper(x) + 1", "helper.other(1)"),
    "default argument": ("def call(f=lambda x: x + factor): return f(1)", "call()"),
    "default factory": (
        "import collections\nd = collections.defaultdict(lambda: [factor])", "d['x'], d.default_factory()",
    ),
    "method of an instance in a closure": ("f = bare(Shop().seller)", "f()[1](2)"),
    "positional only": ("f = (lambda a, /, b, *c, d=1, **e: (a, b, c, d, e))", "f(1, 2, 3, d=4, x=5)"),
    "names of the notebook": ("def outer():\n    def inner():\n        global made\n        made = math.floor(2.5)\n        return made\n    return inner\nf = outer()", "f(), made"),
    "import within": ("def outer():\n    def inner():\n        import string\n        return string.digits\n    return inner\nf = outer()", "f()"),
    "comprehension": ("def outer(n):\n    return lambda rows: {r: [s + n for s in rows if s] for r in rows}\nf = outer(1)", "f([0, 1])"),
    "nested class": ("def outer(n):\n    def inner():\n        class Here:\n            k = n\n            def get(self): return __class__.k + factor\n        return Here().get()\n    return inner\nf = outer(1)", "f()"),
}  # fmt: skip


def names_in(cell: str, namespace: dict[str, Any]) -> list[str]:
    return sorted(free_names(cell) & namespace.keys())


def evaluated(cell: str, namespace: dict[str, Any]) -> str:
    """Return what a cell shows, without addresses."""
    return re.sub(r" at 0x\w+", "", repr(eval(f"({cell})", namespace)))


@pytest.mark.parametrize(("made", "cell"), [pytest.param(*case, id=name) for name, case in CASES.items()])
def test_function_without_a_name_of_its_own_goes_to_another_minor(
    notebook: Notebook, made: str, cell: str
) -> None:
    """It has its cells, default arguments, attributes and names, and is one object wherever it is used."""
    notebook(MAKERS)
    namespace = notebook(made)
    pod = Pod(pack_inputs({name: namespace[name] for name in names_in(cell, namespace)}, namespace, OTHER))
    with pod.process():
        found = evaluated(cell, pod.names)
    assert found == evaluated(cell, namespace)


def test_what_a_made_function_defines_has_its_qualified_name(notebook: Notebook) -> None:
    """Functions and classes that it makes when it is called are named as in the notebook."""
    source = "class Shop:\n    def maker(self):\n        def make():\n            class Item:\n                def get(self): ...\n"
    source += "            def sell(): return lambda: 1\n            return Item, Item.get, sell, sell()\n        return make\n"
    namespace = notebook(f"{source}make = Shop().maker()")
    pod = Pod(pack_inputs({"make": namespace["make"]}, namespace, OTHER))
    pod.run("found = [each.__qualname__ for each in (*make(), make)]")
    assert pod.names["found"] == [each.__qualname__ for each in (*namespace["make"](), namespace["make"])]


@pytest.mark.parametrize("cells", [1, 2])
def test_function_that_calls_what_its_cell_imports(notebook: Notebook, cells: int) -> None:
    """Python compiles a call of an attribute otherwise if the name was imported in the same source."""
    made = "def outer(n):\n    def inner(): return math.floor(n) + os.path.join('a', 'b').count('a')\n    return inner\n"
    sources = ["import math\nimport os.path\n", f"{made}inner = outer(2.5)\n"]
    for source in sources if cells == 2 else ["".join(sources)]:
        namespace = notebook(source)
    pod = Pod(pack_inputs({"inner": namespace["inner"]}, namespace, OTHER))
    pod.run("found = inner()")
    assert pod.names["found"] == 3


@pytest.fixture(scope="module")
def packed_cases() -> tuple[list[tuple[Inputs, str]], list[str]]:
    """Yield the inputs and the cell of each case, and the lines that the notebook prints for them."""
    jobs, wanted = [], []
    with pytest.MonkeyPatch.context() as patch, notebook_cells(patch) as notebook:
        for made, cell in CASES.values():
            notebook(MAKERS)
            namespace = notebook(made)
            sent = {name: namespace[name] for name in names_in(cell, namespace)}
            jobs.append((pack_inputs(sent, namespace, OTHER), PRINT.format(cell)))
            wanted.append(evaluated(cell, namespace))
    return jobs, wanted


@pytest.mark.parametrize("minor", ["3.9", "3.10", "3.12", "3.13"])
def test_functions_run_in_an_interpreter_of_another_minor(
    packed_cases: tuple[list[tuple[Inputs, str]], list[str]], minor: str
) -> None:
    """All of them work in a process with another Python."""
    interpreter = find_interpreter(minor)
    if interpreter is None:
        pytest.skip(f"there is no Python {minor}, neither on PATH nor in pyenv")
    jobs, wanted = packed_cases
    assert remote_all(jobs, interpreter).splitlines() == wanted


def test_traceback_in_the_pod_has_the_lines_and_columns_of_the_cell(notebook: Notebook) -> None:
    """Errors point to the line of the notebook; of two lambdas in a line, the columns tell which one it was."""
    notebook("x = 1\n\ndef outer(n):\n    def inner():\n        return n / 0\n    return inner\n")
    namespace = notebook("inner = outer(1)\nboth = [lambda n: n / 0, lambda n: n / 0]\n")
    pod = Pod(pack_inputs({name: namespace[name] for name in ("inner", "both")}, namespace, OTHER))
    found = [pod.names["inner"], *pod.names["both"]]
    for mine, sent in zip([namespace["inner"], *namespace["both"]], found, strict=True):
        assert sent.__code__ is not mine.__code__
        assert sent.__code__.co_filename == mine.__code__.co_filename
        if sys.version_info >= (3, 11):
            assert [*sent.__code__.co_positions()] == [*mine.__code__.co_positions()]
            assert sent.__code__.co_qualname == mine.__code__.co_qualname


def test_function_comes_back_as_the_notebook_has_it(notebook: Notebook) -> None:
    """A3: the same object returns; what the cell changed on it, also in a cell of it, comes back if asked for."""
    notebook(MAKERS)
    namespace = notebook("up, now = counter()\nadd = adder(3)\nops = [up, lambda: 1]\n")
    names = ("up", "now", "add", "ops")
    pod = Pod(pack_inputs({name: namespace[name] for name in names}, namespace, OTHER))
    pod.run("up(); up(); add.label = 'b'; result = [now, ops[1], up, add]")
    back = pod.unpack(*pod.pack("auto", [("result", "", pod.names["result"])], mode="data"))
    assert all(
        each is mine
        for each, mine in zip(
            back["_"], [namespace["now"], namespace["ops"][1], namespace["up"], namespace["add"]], strict=True
        )
    )
    assert (namespace["now"](), namespace["add"].label) == (0, [3])
    for change in back["changes"]:
        definition_changes.apply(change)
    assert (namespace["now"](), namespace["add"].label) == (2, "b")


REGISTRIES = """
import functools
def make_registry():
    items, order = {}, []
    count = 0
    def register(kind):
        nonlocal count
        if kind.__name__ in items:
            raise ValueError(kind.__name__)
        items[kind.__name__] = kind
        order.append(kind)
        count += 1
        return kind
    def get(name): return items[name], order.index(items[name]), count
    return register, get
register, get = make_registry()
@register
class A:
    size = 1
@register
class B(A): pass
@register
def job(): return get("job")[0] is job, B.size
def hooked(registry):
    def on(event):
        def add(function):
            registry.setdefault(event, []).append(function)
            return function
        return add
    return on
events = {}
on = hooked(events)
@on("start")
def started(): return [*events], events["start"][0] is started
def counting():
    def count(function):
        count.calls += 1
        return function
    count.calls = 0
    return count
count = counting()
@count
def one(): return count.calls
@count
def two(): return one()
"""


@pytest.mark.parametrize(
    ("names", "cell"),
    [
        ("get", "get('A')[0].size, get('B')[1:], get('job')[0]()"),
        ("A", "A.size"),
        ("register A", "[register, A][1].size"),
        ("job", "job()"),
        ("started", "started(), len(events['start'])"),
        ("on events", "events['start'][0](), on('x')(len)(['y'])"),
        ("one two", "one(), two()"),
    ],
)
def test_registry_in_a_closure_goes_to_another_minor(notebook: Notebook, names: str, cell: str) -> None:
    """B3: what a decorator that another function has made keeps in its cells is there once."""
    namespace = notebook(REGISTRIES)
    for order in (names.split(), names.split()[::-1]):
        sent = {name: namespace[name] for name in dict.fromkeys([*order, *names_in(cell, namespace)])}
        pod = Pod(pack_inputs(sent, namespace, OTHER))
        with pod.process():
            found = evaluated(cell, pod.names)
        assert found == evaluated(cell, namespace)


HELPERS = """
import functools, math
SCALE = 3
def scaler(k):
    def scale(n): return n * k * SCALE * math.floor(2.5)
    return scale
def traced(function):
    @functools.wraps(function)
    def call(*args): return [function.__name__, function(*args), SCALE]
    return call
double = [lambda n: 2 * n * SCALE]
"""


@pytest.mark.parametrize(
    ("made", "cell"),
    [
        ("scale = helpers.scaler(2)", "scale(1)"),
        ("fs = [helpers.scaler(2), helpers.double[0]]", "[f(1) for f in fs]"),
        ("def own(n): return n + 1\nfs = [helpers.traced(own)]", "fs[0](1), fs[0].__wrapped__ is own"),
        ("own = helpers.traced(lambda n: n + 1)", "own(1)"),
        ("f = helpers.double[0]", "f(2), f.__globals__ is vars(helpers)"),
    ],
)
def test_function_that_a_module_of_the_user_has_made(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, cell: str
) -> None:
    """Its source is that of the module's file, and its globals are those of the module in the pod."""
    (tmp_path / "helpers.py").write_text(HELPERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "helpers", raising=False)
    namespace = notebook(f"import helpers\n{made}")
    inputs = pack_inputs({name: namespace[name] for name in names_in(cell, namespace)}, namespace, OTHER)
    assert inputs.about["local_modules"]
    assert remote(inputs, PRINT.format(cell)) == f"{evaluated(cell, namespace)}\n"


def test_function_of_a_file_that_has_changed_is_refused(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source that does not make the function's code is not sent in its place."""
    (tmp_path / "changing.py").write_text(
        "def scaler(k):\n    def scale(n): return n * k\n    return scale\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace = notebook("import changing\nfs = [changing.scaler(2)]")
    (tmp_path / "changing.py").write_text(
        "def scaler(k):\n    def scale(n): return n + k\n    return scale\n"
    )
    with pytest.raises(InputError, match=r"fs\[0\] \(function\) cannot be sent: its source was not found"):
        pack_inputs({"fs": namespace["fs"]}, namespace, OTHER)


@pytest.mark.parametrize(
    ("made", "name", "told"),
    [
        ("import threading\nf = bare(threading.Lock().acquire)", "f", "f's function"),
        (
            "import threading\nlock = threading.Lock()\nfs = [lambda n=lock: n]",
            "fs",
            r"fs\[0\]'s default for n",
        ),
        ("f = eval('lambda n: n')", "f", r"f \(function\) cannot be sent: its source was not found"),
        ("fs = {'a': eval('lambda n: n')}", "fs", r"fs\['a'\] \(function\) cannot be sent: its source"),
    ],
)
def test_function_that_cannot_be_sent_is_named(notebook: Notebook, made: str, name: str, told: str) -> None:
    """The error names the part that cannot be sent."""
    notebook(MAKERS)
    namespace = notebook(made)
    with pytest.raises(InputError, match=told):
        pack_inputs({name: namespace[name]}, namespace, OTHER)


def test_functions_that_a_decorator_sets_share_its_cells(notebook: Notebook) -> None:
    """A decorated function is made by its statement, so its attributes are those that the decorator sets there."""
    source = "import functools\ndef memo(f):\n    seen = {}\n    @functools.wraps(f)\n    def run(n):\n"
    source += "        return seen.setdefault(n, f(n) + len(seen))\n    run.clear = lambda: seen.clear()\n    return run\n"
    namespace = notebook(source + "@memo\ndef slow(n): return n\nslow.note = lambda: 'set later'\n")
    pod = Pod(pack_inputs({"slow": namespace["slow"]}, namespace, OTHER))
    pod.run("found = [slow(1), slow(2), slow.clear(), slow(2), slow.note()]")
    assert pod.names["found"] == [1, 3, None, 2, "set later"]


def test_wrapper_with_a_lock_is_made_again_by_its_statement(notebook: Notebook) -> None:
    """A wrapper that cannot be sent is made by the statement that has made it in the notebook."""
    source = (
        "import functools, threading\ndef limited(f):\n    lock = threading.Lock()\n    @functools.wraps(f)\n"
    )
    source += (
        "    def run(*args):\n        with lock: return f(*args)\n    return run\ndef slow(n): return n + 1\n"
    )
    notebook(source)
    namespace = notebook("fast = limited(slow)")
    pod = Pod(pack_inputs({"fast": namespace["fast"]}, namespace, OTHER))
    pod.run("found = fast(1)")
    assert pod.names["found"] == 2
