"""Format values as a notebook shows them: with line breaks, sorted sets, and long containers shortened.

It replaces IPython's pretty printer, which the image may lack, and is loaded when the first container is
displayed.
"""

import contextlib
import os
import re
import types
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from . import display
from .pretty_printer import MAX_TEXT_CHARS, Printer, Show, TooLong


def pformat(obj: Any) -> str:
    """Return the text/plain of an object."""
    printer = Printer(_show)
    try:
        printer.pretty(obj)
    except TooLong:
        return f"{printer.result()}…\n[the first {MAX_TEXT_CHARS >> 20} MiB of the text of this {type(obj).__name__}]"
    return printer.result()


def _show(obj: Any, p: Printer, cycle: bool) -> None:
    if display.settings.float_format and isinstance(obj, float):
        p.text(display.settings.float_format % obj)
        return
    _printer_for(obj)(obj, p, cycle)


def _printer_for(obj: Any) -> Show:
    """Return the function that prints an object: the one of the first class in its MRO that has one."""
    kind = getattr(obj, "__class__", None) or type(obj)
    each: Any
    shown: Show
    for each in kind.__mro__:
        known = display.settings.own_formatter(each, "text/plain") if display.settings.formatters else None
        known = known or BY_TYPE.get(each) or BY_NAME.get((each.__module__, each.__name__))
        if known is not None:
            return known
        own = each.__dict__
        if "_repr_pretty_" in own and callable(each._repr_pretty_):
            shown = each._repr_pretty_
            return shown
        if each is not object and "__repr__" in own and callable(each.__repr__):
            return _repr
    return _plain_object if kind.__repr__ is object.__repr__ else _repr


def _repr(obj: Any, p: Printer, cycle: bool) -> None:
    if type(obj) in (str, bytes, bytearray) and len(obj) > MAX_TEXT_CHARS:
        p.text(repr(obj[:MAX_TEXT_CHARS])[:-1])  # without the closing quote: this is too long in any case
    with p.group():
        for index, line in enumerate(repr(obj).splitlines()):
            if index:
                p.break_()
            p.text(line)


def _plain_object(obj: Any, p: Printer, cycle: bool) -> None:
    with p.group(1, "<", ">"):
        p.pretty(type(obj))
        p.text(f" at {id(obj):#x}" + (" ..." if cycle else ""))


def _separated(items: Iterable[Any], p: Printer) -> Iterator[Any]:
    """Yield the items and print commas between them; stop with "..." at the printer's maximum."""
    for index, item in enumerate(items):
        if index:
            p.text(",")
            p.breakable()
        if index >= p.max_seq_length:
            p.text("...")
            return
        yield item


def _sequence(start: str, end: str) -> Show:
    def show(obj: Any, p: Printer, cycle: bool) -> None:
        if cycle:
            p.text(f"{start}...{end}")
            return
        with p.group(len(start), start, end):
            for item in _separated(obj, p):
                p.pretty(item)
            if len(obj) == 1 and isinstance(obj, tuple):
                p.text(",")

    return show


def _set(start: str, end: str) -> Show:
    inner = _sequence(start, end)

    def show(obj: Any, p: Printer, cycle: bool) -> None:
        if not obj and not cycle:
            p.text(f"{type(obj).__name__}()")
        else:
            inner(_sorted(obj) if len(obj) < p.max_seq_length else obj, p, cycle)

    return show


def _sorted(items: Any) -> List[Any]:
    for key in (None, str):
        with contextlib.suppress(Exception):  # the items cannot be compared, or a __str__ fails
            return sorted(items, key=key)
    return list(items)


def _mapping(start: str, end: str) -> Show:
    def show(obj: Any, p: Printer, cycle: bool) -> None:
        if cycle:
            p.text("{...}")
            return
        with p.group(len(start), start, end):
            for key in _separated(obj.keys(), p):
                p.pretty(key)
                p.text(": ")
                p.pretty(obj[key])

    return show


class _Verbatim:
    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_pretty_(self, p: Printer, cycle: bool) -> None:
        p.text(self.text)


def _call(p: Printer, name: str, *args: Any, **kwargs: Any) -> None:
    with p.group(len(name) + 1, f"{name}(", ")"):
        for word, arg in _separated([*(("", arg) for arg in args), *kwargs.items()], p):
            with p.group(len(word) + 1, f"{word}=") if word else p.group():
                p.pretty(arg)


def _as_call(arguments: Callable[[Any], Tuple[Tuple[Any, ...], Dict[str, Any]]]) -> Show:
    """Return a function that prints an object as a call of its class."""

    def show(obj: Any, p: Printer, cycle: bool) -> None:
        args, kwargs = ((_Verbatim("..."),), {}) if cycle else arguments(obj)
        _call(p, type(obj).__name__, *args, **kwargs)

    return show


def _namespace(obj: Any, p: Printer, cycle: bool) -> None:
    _call(p, "namespace", *([_Verbatim("...")] if cycle else []), **({} if cycle else vars(obj)))


def _error(obj: Any, p: Printer, cycle: bool) -> None:
    _call(p, _name(type(obj)), *obj.args)


def _class(obj: Any, p: Printer, cycle: bool) -> None:
    own = next(each for each in type(obj).__mro__ if "__repr__" in vars(each))
    if own is type:
        p.text(_name(obj))
    else:
        _repr(obj, p, cycle)


def _function(obj: Any, p: Printer, cycle: bool) -> None:
    # Start-up cost: loaded when it is first needed.
    import inspect

    try:
        words = str(inspect.signature(obj))
    except ValueError:
        words = ""
    p.text(f"<function {_name(obj)}{words}>")


def _pattern(obj: Any, p: Printer, cycle: bool) -> None:
    text = "r" + repr(obj.pattern).replace("\\\\", "\\")
    names = ("IGNORECASE", "LOCALE", "MULTILINE", "DOTALL", "UNICODE", "VERBOSE", "DEBUG")
    flags = [f"re.{name}" for name in names if obj.flags & getattr(re, name)]
    _call(p, "re.compile", _Verbatim(text), *([_Verbatim("|".join(flags))] if flags else []))


def _name(obj: Any) -> str:
    module: Optional[str] = obj.__module__
    name: str = getattr(obj, "__qualname__", obj.__name__)
    return name if module in (None, "builtins") else f"{module}.{name}"


BY_TYPE: Dict[Any, Show] = {
    tuple: _sequence("(", ")"),
    list: _sequence("[", "]"),
    dict: _mapping("{", "}"),
    set: _set("{", "}"),
    frozenset: _set("frozenset({", "})"),
    type(os.environ): _mapping("environ{", "}"),
    types.MappingProxyType: _mapping("mappingproxy({", "})"),
    types.SimpleNamespace: _namespace,
    types.FunctionType: _function,
    types.BuiltinFunctionType: _function,
    type: _class,
    re.Pattern: _pattern,
    BaseException: _error,
}
# Classes by module and name, because most cells do not import these modules.
BY_NAME: Dict[Tuple[str, str], Show] = {
    ("collections", "defaultdict"): _as_call(lambda obj: ((obj.default_factory, dict(obj)), {})),
    ("collections", "OrderedDict"): _as_call(lambda obj: ((list(obj.items()),) if obj else (), {})),
    ("collections", "Counter"): _as_call(lambda obj: ((dict(obj.most_common()),) if obj else (), {})),
    ("collections", "UserList"): _as_call(lambda obj: ((obj.data,), {})),
    ("collections", "deque"): _as_call(
        lambda obj: ((list(obj),), {} if obj.maxlen is None else {"maxlen": obj.maxlen})
    ),
}
