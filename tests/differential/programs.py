"""Random programs of definitions, and descriptions of what they define."""

from __future__ import annotations

import abc
import collections
import enum
import functools
import re
import sys
import types
from collections.abc import Iterator
from random import Random
from typing import Any

PREAMBLE = """
import abc, collections, datetime, decimal, enum, fractions, functools, typing
from dataclasses import dataclass, field
MISSING = object()
class Token:
    def __repr__(self): return "token"
TOKEN = Token()
registry = {}
calls = []
T = typing.TypeVar("T", bound="Token")
class Typed:
    def __set_name__(self, owner, name):
        calls.append((owner.__name__, name))
        self.name = name
    def __get__(self, obj, kind=None): return self if obj is None else obj.__dict__.get(self.name, 0)
    def __set__(self, obj, value): obj.__dict__[self.name] = value
"""
VALUES = (
    "1",
    "'text'",
    "[1, 2]",
    "{'a': [3]}",
    "registry",
    "MISSING",
    "TOKEN",
    "(1, [2])",
    "None",
    "{4}",
    "len",
    "Token",
    "T",
    "frozenset({5})",
    "functools.partial(int, base=2)",
    "typing.List[int]",
)


class Program:
    """A random program.

    Args:
        seed: Programs of the same seed are equal.

    Attributes:
        source: Its text.
        classes: The names of its classes that have a constructor without arguments.
        names: All names that it defines.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._bases: list[str] = []
        self._hooked: set[str] = set()
        self.classes: list[str] = []
        self.names = ["MISSING", "TOKEN", "registry", "calls", "Token", "Typed", "T"]
        kinds = (
            self._plain,
            self._plain,
            self._plain,
            self._data,
            self._enum,
            self._flag,
            self._function,
            self._abstract,
            self._generic,
            self._metaclass,
            self._tuple,
            self._singleton,
            self._extended,
        )
        lines = [PREAMBLE]
        for place in range(self._random.randrange(2, 7)):
            lines.append(self._random.choice(kinds)(f"X{place}"))
            self.names.append(f"X{place}")
        for name in self._random.sample(self.classes, min(2, len(self.classes))):
            lines.append(f"registry[{name!r}] = {self._random.choice([name, f'{name}()'])}")
        self.source = "\n".join(lines)

    def _value(self) -> str:
        return self._random.choice(VALUES)

    def _maybe(self, text: str, chance: float = 0.4) -> str:
        return text if self._random.random() < chance else ""

    def _plain(self, name: str) -> str:
        random = self._random
        bases = random.sample(self._bases, min(len(self._bases), random.randrange(3)))
        # Later ones first: else Python often finds no order for the bases.
        bases.sort(reverse=True)
        options = [*bases]
        if self._hooked & {*bases}:
            options.append(f"tag={name!r}")
        lines = [
            f"class {name}({', '.join(options)}):",
            self._maybe("    'what it is'"),
            *(f"    {attribute} = {self._value()}" for attribute in random.sample("bcadef", 3)),
            "    def method(self, x=MISSING): return x",
            self._maybe("    @property\n    def size(self): return len(registry)"),
            self._maybe("    @classmethod\n    def make(cls): return cls()"),
            self._maybe("    @staticmethod\n    def twice(x): return 2 * x"),
            self._maybe("    def parent(self): return super().__repr__()"),
            self._maybe("    typed = Typed()"),
            self._maybe("    class Inner:\n        z = 1\n        def f(self): return __class__"),
            self._maybe("    def __eq__(self, other): return self is other"),
        ]
        if not self._hooked & {*bases} and self._maybe("x", 0.3):
            lines.append(
                "    def __init_subclass__(cls, /, tag, **more):\n"
                "        super().__init_subclass__(**more)\n"
                "        calls.append((tag, cls.__name__))"
            )
            self._hooked.add(name)
        if not bases and self._maybe("x", 0.2):
            lines.append("    __slots__ = ('p', '__q')")
        if self._hooked & {*bases}:
            self._hooked.add(name)
        self._bases.append(name)
        self.classes.append(name)
        text = "\n".join(line for line in lines if line)
        text = self._tried(text, name, bases)
        return (
            text + self._maybe(f"\n{name}.method.note = [{name}]") + self._maybe(f"\n{name}.own = {name}()")
        )

    def _tried(self, text: str, name: str, bases: list[str]) -> str:
        """Return a class statement; a plain class takes its place if its bases do not fit together."""
        if len(bases) < 2:
            return text
        inside = "\n".join(f"    {line}" for line in text.splitlines())
        return f"try:\n{inside}\nexcept TypeError:\n    class {name}:\n        def method(self): return 0"

    def _data(self, name: str) -> str:
        options = [word for word in ("order=True", "frozen=True") if self._maybe("x")]
        if sys.version_info >= (3, 10) and self._maybe("x"):
            options.append("slots=True")
        self.classes.append(name)
        return (
            f"@dataclass({', '.join(options)})\nclass {name}:\n    n: int = 1\n"
            "    tags: list = field(default_factory=list)\n    kinds: typing.ClassVar[list] = ['k']\n"
            "    def double(self): return self.n * 2"
        )

    def _enum(self, name: str) -> str:
        kind = self._random.choice(["enum.Enum", "enum.IntEnum", "str, enum.Enum", "Token, enum.Enum"])
        lines = [f"class {name}({kind}):"]
        if kind == "enum.Enum" and self._maybe("x"):
            lines += [
                "    A = (1, 'a')\n    B = (2, 'b')\n    ALIAS = (1, 'a')",
                "    def __init__(self, n, text): self.n, self.text, self.seen = n, text, []",
            ]
        elif kind == "enum.Enum" and self._maybe("x"):
            lines += [
                "    def __new__(cls, value, label):\n        made = object.__new__(cls)\n"
                "        made._value_, made.label = value, label\n        return made",
                "    A = 1, 'first'\n    B = 2, 'second'",
            ]
        else:
            value = "1" if "Int" in kind else "'one'"
            lines.append(f"    A = {value}\n    B = {value} * 2\n    ALIAS = {value}")
        lines.append(self._maybe("    @classmethod\n    def _missing_(cls, value): return cls.A"))
        lines.append(self._maybe("    @property\n    def shown(self): return self.name.lower()"))
        text = "\n".join(line for line in lines if line)
        return text + self._maybe(f"\n{name}.A.other = {name}.B")

    def _flag(self, name: str) -> str:
        kind = self._random.choice(["enum.Flag", "enum.IntFlag"])
        boundary = ", boundary=enum.KEEP" if sys.version_info >= (3, 11) and self._maybe("x") else ""
        return (
            f"class {name}({kind}{boundary}):\n    R = 4\n    W = 2\n    RW = R | W\n"
            f"    def has(self, other): return other in self\nregistry['{name}'] = {name}.R | {name}.W"
        )

    def _function(self, name: str) -> str:
        return (
            f"def make{name}(k):\n    seen = []\n    def {name}(x=MISSING, *, y={self._value()}):\n"
            f"        seen.append(x)\n        return k, seen, calls\n    return {name}\n"
            f"{name} = make{name}({self._value()})"
            + self._maybe(f"\n{name}.note = {self._value()}")
            + self._maybe(f"\n{name} = functools.lru_cache({name})")
        )

    def _abstract(self, name: str) -> str:
        self._bases.append(name)
        return (
            f"class {name}(abc.ABC):\n    @abc.abstractmethod\n    def method(self): ...\n    n = {self._value()}\n"
            f"{name}.register(Token)"
        )

    def _generic(self, name: str) -> str:
        self.classes.append(name)
        return (
            f"class {name}(typing.Generic[T]):\n    items: typing.List[T]\n    n = {self._value()}\n"
            f"class Sub{name}({name}[Token]):\n    pass"
        )

    def _metaclass(self, name: str) -> str:
        self.classes.append(name)
        return (
            f"class Meta{name}(type):\n    made = []\n    def __new__(meta, name, bases, names, **more):\n"
            "        kind = super().__new__(meta, name, bases, names)\n        meta.made.append(name)\n"
            "        return kind\n    def __init__(kind, name, bases, names, **more):\n"
            "        kind.count = len(kind.made)\n    def __setattr__(kind, name, value):\n"
            "        calls.append(name)\n        super().__setattr__(name, value)\n"
            "    @property\n    def title(kind): return kind.__name__\n"
            f"class {name}(metaclass=Meta{name}, flag=True):\n    n = {self._value()}\n"
            f"class Sub{name}({name}): n = {name}.n"
        )

    def _extended(self, name: str) -> str:
        base, value = self._random.choice(
            [
                ("float", "1.5"),
                ("int", "4"),
                ("str", "'text'"),
                ("bytes", "b'bytes'"),
                ("tuple", "(1, [2])"),
                ("frozenset", "{3}"),
                ("datetime.date", "2024, 2, 29"),
                ("decimal.Decimal", "'1.50'"),
                ("fractions.Fraction", "3, 2"),
                ("list", ""),
                ("collections.OrderedDict", ""),
                ("collections.Counter", ""),
            ]
        )
        return (
            f"class {name}({base}):\n    def __new__(cls, label, *, extra):\n        calls.append('{name}')\n"
            f"        made = super().__new__(cls, {value})\n        made.label, made.extra = label, [extra]\n"
            f"        return made\n    def __init__(self, label, *, extra): calls.append(label)\n"
            f"one{name} = {name}('{name}', extra={self._value()})\nregistry['{name}'] = one{name}"
        )

    def _tuple(self, name: str) -> str:
        kind = self._random.choice(
            [
                f"{name} = collections.namedtuple('{name}', 'x y', defaults=[0, 1])",
                f"class {name}(typing.NamedTuple):\n    x: int = 1\n    def f(self): return self.x",
                f"class {name}(typing.TypedDict, total=False):\n    x: int",
                f"@typing.runtime_checkable\nclass {name}(typing.Protocol):\n    def method(self): ...",
                f"{name} = typing.NewType('{name}', Token)",
                f"{name} = type('{name}', (Token,), {{'n': {self._value()}}})",
            ]
        )
        if "namedtuple" in kind or "type(" in kind:
            self.classes.append(name)
        return kind

    def _singleton(self, name: str) -> str:
        self.classes.append(name)
        return (
            f"class {name}:\n    _one = None\n    count = 0\n    def __new__(cls):\n        cls.count += 1\n"
            "        if cls._one is None:\n            cls._one = super().__new__(cls)\n"
            f"            cls._one.state = {self._value()}\n        return cls._one\nits{name} = {name}()"
        )


def run(program: Program) -> dict[str, Any]:
    """Return the namespace of a notebook in which a program has run."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program.source, "<cell of the notebook>", "exec", dont_inherit=True), namespace)
    return namespace


# -- what must not change in the notebook -----------------------------------------------------------------


def everything(namespace: dict[str, Any]) -> dict[int, Any]:
    """Return all objects of the program that have attributes, by id."""
    found: dict[int, Any] = {}
    todo = [value for name, value in namespace.items() if name != "__builtins__"]
    while todo:
        each = todo.pop()
        if id(each) in found or isinstance(each, types.ModuleType):
            continue
        found[id(each)] = each
        todo += list(_inside(each))
    return found


def _inside(obj: Any) -> Iterator[Any]:
    if isinstance(obj, type) and obj.__module__ != "__main__":
        return
    if isinstance(obj, type):
        yield from obj.__mro__
    if isinstance(obj, types.FunctionType):
        yield from (cell.cell_contents for cell in obj.__closure__ or () if cell != types.CellType())
        yield from [obj.__defaults__, obj.__kwdefaults__]
    if isinstance(obj, (property, classmethod, staticmethod)):
        yield from (getattr(obj, name, None) for name in ("fget", "fset", "__func__"))
    if isinstance(obj, dict):
        yield from obj.values()
    elif isinstance(obj, (list, tuple, set, frozenset)):
        yield from obj
    yield from vars(obj).values() if hasattr(obj, "__dict__") else ()


def contents(obj: Any) -> Any:
    """Return the ids of all that an object consists of, in order."""
    found: list[Any] = []
    if hasattr(obj, "__dict__"):
        # A cache that Python fills when it looks at an abstract class or counts combinations of flags.
        found += [(name, id(value)) for name, value in vars(obj).items() if name != "__annotations__"]
    if isinstance(obj, types.FunctionType):
        found += [id(obj.__code__), id(obj.__defaults__), id(obj.__kwdefaults__)]
        found += [id(cell.cell_contents) for cell in obj.__closure__ or () if cell != types.CellType()]
    if isinstance(obj, dict):
        found += [(id(key), id(value)) for key, value in obj.items()]
    elif isinstance(obj, (list, tuple)):
        found += [id(value) for value in obj]
    return found


# -- what must be equal in the pod ---------------------------------------------------------------------


class Description:
    """Describe objects; two descriptions are equal where values and all is-relations between them are.

    Args:
        namespace: The namespace that they live in.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def describe(self, obj: Any) -> Any:
        """Return the description of an object."""
        if obj is None or type(obj) in (bool, int, float, str, bytes):
            return repr(obj)
        if (isinstance(obj, (tuple, frozenset)) and type(obj) in (tuple, frozenset)) and not obj:
            return repr(obj)
        if id(obj) in self._numbers:
            return "same", self._numbers[id(obj)]
        number = self._numbers[id(obj)] = len(self._numbers)
        self._kept.append(obj)
        return number, type(obj).__qualname__, self._inside(obj)

    def _inside(self, obj: Any) -> Any:
        if isinstance(obj, type):
            return self._class(obj)
        if isinstance(obj, types.FunctionType):
            return self._function(obj)
        if isinstance(obj, types.ModuleType):
            return obj.__name__
        if isinstance(obj, dict):
            return [(self.describe(key), self.describe(value)) for key, value in obj.items()]
        if isinstance(obj, (list, tuple)):
            return [self.describe(each) for each in obj]
        if isinstance(obj, (property, classmethod, staticmethod)):
            names = ("fget", "fset", "fdel", "__func__")
            return [self.describe(getattr(obj, name, None)) for name in names]
        if isinstance(obj, enum.Enum):
            return self.describe(type(obj)), obj._name_, self._attributes(obj)
        if type(obj).__module__ == "__main__":
            return self.describe(type(obj)), self._attributes(obj)
        if isinstance(obj, functools._lru_cache_wrapper):
            return self.describe(obj.__wrapped__), sorted(vars(obj))
        return re.sub(r"0x[0-9a-f]+", "0x", repr(obj))

    def _attributes(self, obj: Any) -> Any:
        found = [(name, self.describe(value)) for name, value in getattr(obj, "__dict__", {}).items()]
        for kind in type(obj).__mro__:
            for name, slot in vars(kind).items():
                if isinstance(slot, types.MemberDescriptorType) and type(obj).__module__ == "__main__":
                    found += [(name, self.describe(getattr(obj, name)))] if hasattr(obj, name) else []
        return found

    def _class(self, kind: Any) -> Any:
        name = (kind.__module__, kind.__qualname__)
        if kind.__module__ != "__main__":
            return name
        order = [each for each in vars(kind) if not re.match(r"__\w+__$|_abc_", each)]
        slots = {each for each in order if isinstance(vars(kind)[each], types.MemberDescriptorType)}
        order = [each for each in order if each not in slots]
        attributes = {
            each: self.describe(value)
            for each, value in sorted(vars(kind).items())
            if not isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
            and each not in ("_abc_impl", "__weakref__", "__dict__", "__firstlineno__", "__slotnames__")
        }
        registered = abc._get_dump(kind)[0] if isinstance(kind, abc.ABCMeta) else ()  # type: ignore[attr-defined]
        return (
            *name,
            type(kind).__qualname__,
            [each.__qualname__ for each in kind.__mro__],
            order,
            sorted(slots),
            attributes,
            sorted(each().__qualname__ for each in registered),
            kind.__flags__ & (1 << 20),  # abstract
            kind.__basicsize__,
            self._namespace.get(kind.__qualname__) is kind,
        )

    def _function(self, function: Any) -> Any:
        if function.__module__ != "__main__":
            return function.__module__, function.__qualname__
        cells = [
            "empty" if cell == types.CellType() else self.describe(cell.cell_contents)
            for cell in function.__closure__ or ()
        ]
        return (
            function.__qualname__,
            function.__doc__,
            function.__code__.co_code,
            self.describe(function.__defaults__),
            self.describe(function.__kwdefaults__),
            self.describe(function.__annotations__),
            self.describe(vars(function)),
            cells,
            function.__globals__ is self._namespace,
        )


def describe(namespace: dict[str, Any], names: list[str]) -> Any:
    """Return the description of the named values of a namespace."""
    found = Description(namespace)
    return collections.OrderedDict(
        (name, found.describe(namespace[name])) for name in names if name in namespace
    )
