"""Errors of a cell as the notebook raises them: the original type, the cell's own lines."""

from __future__ import annotations

import ast
import builtins
import linecache
import re
import types
from typing import Any

ADDRESS = re.compile(r"0x[0-9a-fA-F]+")  # an object's place is another one here
BROKEN = re.compile(r"<\w+ in __str__>$")


class RemoteError(Exception):
    """Stands for an error whose class cannot be had here; its name and module are the original's."""


def rebuild(described: list[dict[str, Any]], instances: dict[int, Any]) -> BaseException:
    """Return the exception to raise, with a traceback made of the cell's frames.

    Args:
        described: the error first, then those behind it, as the runner describes them.
        instances: place -> unpickled exception, or (class, arguments, attributes) of one.
    """
    made: dict[int, BaseException] = {}

    def make(place: int) -> BaseException:
        if place in made:
            return made[place]
        about = described[place]
        error = _revived(instances.get(place))
        if error is not None:
            error = _saying(error, about["message"])
        else:
            error = _stand_in(about, [make(member) for member in about["members"] if member])
        fill(place, error)
        return error

    def fill(place: int, error: BaseException) -> None:
        about = described[place]
        made[place] = error.with_traceback(_traceback(about["frames"]))
        for member, instance in zip(about["members"], getattr(error, "exceptions", ()), strict=False):
            if member is not None:
                fill(member, instance)

    for place, about in enumerate(described):
        error = make(place)
        for link in ("cause", "context"):
            if about[link] is not None:
                setattr(error, f"__{link}__", make(about[link]))
        error.__suppress_context__ = about["suppress"]
    return made[0]


def add_note(error: BaseException, note: str) -> None:
    """Add a last line to an error, on Python 3.10 too."""
    if hasattr(error, "add_note"):
        error.add_note(note)


BaseExceptionGroup_: Any = getattr(builtins, "BaseExceptionGroup", ())


def _revived(found: Any) -> BaseException | None:
    if isinstance(found, tuple):
        kind, args, attributes = found
        try:
            error: BaseException = kind.__new__(kind, *args)
        except Exception:  # noqa: BLE001 -- a __new__ of the user's: the stand-in does
            return None
        error.args = args
        error.__dict__.update(attributes)
        return error
    return found if isinstance(found, BaseException) else None


def _saying(error: BaseException, message: str) -> BaseException:
    """Return an error with the words that it had in the pod: its parts may say others here.

    Args:
        error: as it was unpickled.
        message: what it said, cut where it was long.
    """
    if isinstance(error, (SyntaxError, BaseExceptionGroup_)) or BROKEN.match(message):
        return error
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 -- a __str__ of the user's: it did say something there
        said = ""
    if ADDRESS.sub("", said).startswith(ADDRESS.sub("", message)):  # it may have been cut
        return error
    kind = type(error)

    def reduced(self: BaseException) -> Any:
        made: Any = kind.__reduce__(self)
        return (kind if made[0] is type(self) else made[0], *made[1:])

    names = {
        "__str__": lambda _: message,
        "__reduce__": reduced,
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
    }
    try:
        # Words are looked up in the class. To who catches it this is the original one.
        meta: Any = type(kind)
        spoken: Any = meta(kind.__name__, (kind,), names)
        try:
            error.__class__ = spoken
        except TypeError:  # a class in C
            made: BaseException = kind.__new__(spoken, *error.args)
            made.args = error.args
            made.__dict__.update(vars(error))
            return made
    except Exception:  # noqa: BLE001 -- a class of the user's that takes no subclass
        add_note(error, f"It said in the pod: {message}")
    return error


def _stand_in(described: dict[str, Any], members: list[BaseException]) -> BaseException:
    if members and BaseExceptionGroup_:
        group: BaseException = BaseExceptionGroup_(described["message"], members)
        return group
    name = described["type"]
    found = getattr(builtins, name, None) if described["module"] == "builtins" else None
    if isinstance(found, type) and issubclass(found, BaseException):
        try:
            return found(described["message"])
        except TypeError:
            pass  # UnicodeDecodeError, say, takes five arguments
    kind = type(name, (RemoteError,), {"__module__": described["module"]})
    stands = f"(a stand-in: {described['module']}.{name} itself cannot be had in the notebook)"
    if not hasattr(kind, "add_note"):  # Python 3.10
        old: BaseException = kind(f"{described['message']}\n{stands}")
        return old
    error: BaseException = kind(described["message"])
    for note in (*described["notes"], stands):
        add_note(error, note)
    return error


def _traceback(frames: list[list[Any]]) -> types.TracebackType | None:
    """Return a traceback of frames, outermost first.

    Args:
        frames: [file, line, function, its qualified name, its first line, its parameters, columns].

    Each frame comes from code compiled under the right name at the right place, since frames
    cannot be made by hand.
    """
    made: types.TracebackType | None = None
    for filename, line, name, qualname, first, parameters, *columns in reversed(frames):
        linecache.checkcache(filename)
        # What shows a traceback finds the function in the source by its name and first line,
        # which the code's own lines are counted from.
        columns[1:2] = [each - first + 1 for each in columns[1:2]]
        code = compile(_raising(parameters, line - first + 1, *columns), filename, "exec")
        (code,) = [each for each in code.co_consts if isinstance(each, types.CodeType)]
        code = code.replace(co_name=name, co_firstlineno=first, **_qualified(qualname))
        try:
            types.FunctionType(code, {"__error": RuntimeError()})(*[None] * parameters[0])
        except RuntimeError as error:
            there = error.__traceback__
            assert there is not None
            assert there.tb_next is not None
            frame = there.tb_next.tb_frame
            made = types.TracebackType(made, frame, there.tb_next.tb_lasti, line)
    return made


def _qualified(name: str) -> dict[str, Any]:
    return {"co_qualname": name} if hasattr(types.CodeType, "co_qualname") else {}


def _raising(
    parameters: list[Any], line: int, first: int = -1, end: int | None = None, last: int = -1
) -> ast.Module:
    """Return a program of a function that raises at a place.

    Args:
        parameters: how many have a value each, whether there is a *, a **, all names.
        line: of the place; without columns (-1) no mark is shown there.
        first: column.
        end: line.
        last: column.
    """
    count, rest, words, names = parameters
    given = [ast.arg(name, lineno=1, col_offset=0) for name in names]
    arguments = ast.arguments(
        [], given[:count], given[count] if rest else None, [], [], given[-1] if words else None, []
    )
    place = {"lineno": line, "end_lineno": end or line, "col_offset": first, "end_col_offset": last}
    name = ast.Name("__error", ast.Load(), **place)
    function = ast.FunctionDef("f", arguments, [ast.Raise(name, None, **place)], [], lineno=1, col_offset=0)
    return ast.Module([ast.fix_missing_locations(function)], [])
