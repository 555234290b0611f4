"""Rebuild a cell's exceptions in the notebook, with the original type and the cell's own lines."""

from __future__ import annotations

import ast
import builtins
import contextlib
import linecache
import os
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import PodtaskError
from ..runner.reducers.classes import make_quiet_class
from .pod_sources import can_be_shown, register

ADDRESS = re.compile(r"0x[0-9a-fA-F]+")  # addresses of objects differ here
OWN_FOLDER = f"{Path(__file__).parent.parent}{os.sep}"
IPYTHON_FILE = os.path.join("IPython", "core", "interactiveshell.py")  # which executes cells
BaseExceptionGroup_: Any = getattr(builtins, "BaseExceptionGroup", ())  # newer than Python 3.10
BROKEN = re.compile(r"<\w+ in __str__>$")
_rendered_kinds: tuple[type[BaseException], ...] = ()  # classes of the handler of IPython that was set last


class _NotSent:
    """The value of a parameter in a frame of the pod, as verbose tracebacks and debuggers show it."""

    def __repr__(self) -> str:
        return "<in the pod>"


NOT_SENT = _NotSent()


class RemoteError(Exception):
    """An error that stands for one whose class is not available here; it has the original name and module."""


def rebuild(
    described: list[dict[str, Any]], instances: dict[int, Any], sources: Iterable[Sequence[Any]] = ()
) -> BaseException:
    """Return the exception to raise, with a traceback made of the cell's frames.

    Args:
        described: Descriptions by the runner: the error first, then its causes and contexts.
        instances: Maps a position in ``described`` to the unpickled exception, or to its class,
            arguments and attributes.
        sources: Excerpts of the files that the frames are in.
    """
    names = register(sources)
    made: dict[int, BaseException] = {}

    def make(place: int) -> BaseException:
        if place in made:
            return made[place]
        about = described[place]
        error = _revived(instances.get(place))
        if error is not None:
            error = _with_message(error, about["message"])
        else:
            error = _stand_in(about, [make(member) for member in about["members"] if member])
        fill(place, error)
        return error

    def fill(place: int, error: BaseException) -> None:
        about = described[place]
        made[place] = error.with_traceback(_traceback(about["frames"], names))
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
    """Add a note to an error, also in Python 3.10: IPython shows the notes of any Python."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:
        with contextlib.suppress(AttributeError):  # an exception with __slots__
            error.__notes__ = [*getattr(error, "__notes__", ()), note]


def hide_own_frames(error: BaseException) -> None:
    """Make IPython show an error without the frames of podtask that have raised it in the notebook."""

    def render() -> list[str]:
        shown = _without_own_frames(error.__traceback__)
        return traceback_lines(_current_shell(), error, shown)

    render_with(error, render)


class CallerFrames:
    """Covers a call by the user: ``with CallerFrames()``.

    From Python 3.11 on, an error of a cell or of podtask's own classes that leaves the block has no frames of podtask, so
    that a script, and an error that is raised from this one, show the user's frames only. Other errors are defects of
    podtask, and keep theirs.
    """

    def __enter__(self) -> None:
        """Do nothing; the frames are removed on exit."""

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        is_of_cell = getattr(getattr(error, "_render_traceback_", None), "__module__", "") == __name__
        if error is not None and (is_of_cell or isinstance(error, PodtaskError)):
            error.__traceback__ = _without_own_frames(error.__traceback__)


def render_with(error: BaseException, render: Callable[[], list[str]]) -> None:
    """Make IPython show an error by the lines that a function returns."""
    try:
        error._render_traceback_ = render  # type: ignore[attr-defined]
    except AttributeError:
        return  # an exception with __slots__: IPython shows the longer traceback
    shell = _current_shell() if "IPython" in sys.modules else None
    if shell is not None and (isinstance(error, SyntaxError) or _has_group(error)):
        _let_shell_render(shell, type(error))


def traceback_lines(shell: Any, error: BaseException, shown: types.TracebackType | None) -> list[str]:
    """Return an error as IPython shows it.

    Args:
        shell: The shell of IPython.
        error: The error.
        shown: Its traceback, with the frames to show.
    """
    kind = type(error)
    if isinstance(error, SyntaxError):
        return list(shell.SyntaxTB.structured_traceback(kind, error, traceback.extract_tb(shown)))
    if _has_group(error):  # IPython leaves these to Python, too
        return "".join(traceback.format_exception(kind, error, shown)).splitlines()
    return list(shell.InteractiveTB.structured_traceback(kind, error, shown, tb_offset=0))


def _let_shell_render(shell: Any, kind: type[BaseException]) -> None:
    """Make IPython call ``_render_traceback_`` of the errors of a class; it ignores that of SyntaxErrors and groups.

    A handler that the user has set stays, and errors without that method are shown as before.
    """
    global _rendered_kinds
    before, show_before = shell.custom_exceptions, shell.CustomTB
    if before is _rendered_kinds and issubclass(kind, before):
        return

    def show(shell: Any, kind: Any, value: Any, found: Any, tb_offset: Any = None) -> list[str]:
        if isinstance(value, before):
            return list(show_before(kind, value, found, tb_offset=tb_offset))
        if not hasattr(value, "_render_traceback_"):
            shell.showtraceback((kind, value, found), tb_offset=tb_offset, running_compiled_code=True)
            return []
        # For %tb and %debug.
        sys.last_type, sys.last_value, sys.last_traceback = kind, value, found
        setattr(sys, "last_exc", value)  # noqa: B010 -- Python 3.12's name
        lines = list(value._render_traceback_())
        shell._showtraceback(kind, value, lines)  # noqa: SLF001 -- the only way, in IPython as in a kernel
        return lines

    _rendered_kinds = (*before, kind)
    shell.set_custom_exc(_rendered_kinds, show)


def _current_shell() -> Any:
    # Start-up cost: scripts do not need IPython.
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _has_group(error: BaseException | None) -> bool:
    """Return whether an error, or one in whose context it was raised, is a group."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, BaseExceptionGroup_):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def _without_own_frames(step: types.TracebackType | None) -> types.TracebackType | None:
    """Return a traceback without the frames of podtask, and without those of IPython that execute the cell."""
    if step is None:
        return None
    rest = _without_own_frames(step.tb_next)
    filename = step.tb_frame.f_code.co_filename
    if filename.startswith(OWN_FOLDER) or filename.endswith(IPYTHON_FILE):
        return rest
    return types.TracebackType(rest, step.tb_frame, step.tb_lasti, step.tb_lineno)


def _revived(found: Any) -> BaseException | None:
    if isinstance(found, tuple):
        kind, args, attributes = found
        try:
            error: BaseException = kind.__new__(kind, *args)
        except Exception:  # noqa: BLE001 -- raised by a user-defined __new__: use a replacement
            return None
        error.args = args
        error.__dict__.update(attributes)
        return error
    return found if isinstance(found, BaseException) else None


def _with_message(error: BaseException, message: str) -> BaseException:
    """Return an error with the message that it had in the pod, in case ``str`` differs here.

    Args:
        error: Unpickled error.
        message: Its message in the pod, possibly truncated.
    """
    if isinstance(error, (SyntaxError, BaseExceptionGroup_)) or BROKEN.match(message):
        return error
    try:
        own_message = str(error)
    except Exception:  # noqa: BLE001 -- raised by a user-defined __str__, which worked in the pod
        own_message = ""
    if ADDRESS.sub("", own_message).startswith(ADDRESS.sub("", message)):  # it may have been truncated
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
        # __str__ is looked up in the class. A subclass is still caught as the original class.
        # It is made without the hooks of the user's class, which may count its subclasses.
        subclass = make_quiet_class(type(kind), kind.__name__, (kind,), names)
        try:
            error.__class__ = subclass
        except TypeError:  # a class in C
            made: BaseException = kind.__new__(subclass, *error.args)
            made.args = error.args
            made.__dict__.update(vars(error))
            return made
    except Exception:  # noqa: BLE001 -- a user-defined class that cannot be subclassed
        add_note(error, f"Its message in the pod was: {message}")
    return error


def _stand_in(described: dict[str, Any], members: list[BaseException]) -> BaseException:
    """Return an error in place of one that could not be unpickled, with its message and notes."""
    error = _group_or_built_in(described, members)
    notes = described["notes"]
    if error is None:
        module, name = described["module"], described["type"]
        error = type(name, (RemoteError,), {"__module__": module})(described["message"])
        notes = [*notes, f"(replaces {module}.{name}, which is not available in the notebook)"]
    for each in notes:
        add_note(error, each)
    return error


def _group_or_built_in(described: dict[str, Any], members: list[BaseException]) -> BaseException | None:
    """Return an error of the original class if that is a group or built in; else None."""
    if members and BaseExceptionGroup_:
        group: BaseException = BaseExceptionGroup_(described["message"], members)
        return group
    found = getattr(builtins, described["type"], None) if described["module"] == "builtins" else None
    if isinstance(found, type) and issubclass(found, BaseException):
        try:
            return found(described["message"])
        except TypeError:
            pass  # for example UnicodeDecodeError, which takes five arguments
    return None


def _traceback(frames: list[list[Any]], names: Mapping[str, str]) -> types.TracebackType | None:
    """Return a traceback made of frames, outermost first.

    Frames cannot be created directly. So each one comes from code that is compiled with the right
    file, name and line, and that raises an error.

    Args:
        frames: [file, line, function, its qualified name, its first line, its parameters, columns].
        names: File -> its name in tracebacks, if that differs.
    """
    made: types.TracebackType | None = None
    for filename, *place in reversed(frames):
        name = names.get(filename, filename)
        at, frame = _frame(name, *place)
        if name != filename and not can_be_shown(frame):
            at, frame = _frame(filename, *place)
        made = types.TracebackType(made, frame, at, place[0])
    return made


def _frame(
    filename: str, line: int, name: str, qualname: str, first: int, parameters: list[Any], *columns: int
) -> tuple[int, types.FrameType]:
    """Return the position of an instruction, and the frame that has executed it."""
    linecache.checkcache(filename)
    # A traceback is displayed with the function's source, found by its name and first line.
    # The lines of the code are relative to that first line.
    columns = (*columns[:1], *(each - first + 1 for each in columns[1:2]), *columns[2:])
    code = compile(_raising(parameters, line - first + 1, *columns), filename, "exec")
    (code,) = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    code = code.replace(co_name=name, co_firstlineno=first, **_qualified(qualname))
    try:
        types.FunctionType(code, {"__error": RuntimeError()})(*[NOT_SENT] * parameters[0])
    except RuntimeError as error:
        there = error.__traceback__
        assert there is not None
        assert there.tb_next is not None
        return there.tb_next.tb_lasti, there.tb_next.tb_frame
    raise AssertionError("the code has not raised its error")


def _qualified(name: str) -> dict[str, Any]:
    return {"co_qualname": name} if hasattr(types.CodeType, "co_qualname") else {}


def _raising(
    parameters: list[Any], line: int, first: int = -1, end: int | None = None, last: int = -1
) -> ast.Module:
    """Return the syntax tree of a function that raises an error at a given position.

    Args:
        parameters: Number of plain parameters, whether there is a *, a **, and all names.
        line: Line of the position.
        first: First column; -1 if unknown, and then no marker is shown.
        end: Last line.
        last: Last column.
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
