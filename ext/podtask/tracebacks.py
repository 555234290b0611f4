"""Errors of a cell as the notebook raises them: the original type, the cell's own lines."""

from __future__ import annotations

import builtins
import linecache
import types
from typing import Any


class RemoteError(Exception):
    """Stands for an error whose class cannot be had here; its name and module are the original's."""


def rebuild(described: list[dict[str, Any]], instances: dict[int, Any]) -> BaseException:
    """Returns the exception to raise, with a traceback made of the cell's frames.

    Args:
        described: the error first, then those behind it, as the runner describes them.
        instances: place -> unpickled exception, where that worked.
    """
    made: dict[int, BaseException] = {}

    def make(place: int) -> BaseException:
        if place in made:
            return made[place]
        about = described[place]
        error = instances.get(place)
        if not isinstance(error, BaseException):
            error = _stand_in(about, [make(member) for member in about["members"] if member])
        made[place] = error.with_traceback(_traceback(about["frames"]))
        for member, instance in zip(
            about["members"], getattr(error, "exceptions", ()), strict=False
        ):
            if member is not None:
                made[member] = instance.with_traceback(_traceback(described[member]["frames"]))
        return error

    for place, about in enumerate(described):
        error = make(place)
        for link in ("cause", "context"):
            if about[link] is not None:
                setattr(error, f"__{link}__", make(about[link]))
        error.__suppress_context__ = about["suppress"]
    return made[0]


def add_note(error: BaseException, note: str) -> None:
    """Adds a last line to an error, on Python 3.10 too."""
    if hasattr(error, "add_note"):
        error.add_note(note)


def render_in(shell: Any, error: BaseException, note: str) -> None:
    """Makes IPython show just the cell's frames of an error, in its own colours and form."""
    shown = error.__traceback__

    def render() -> list[str]:
        lines = shell.InteractiveTB.structured_traceback(type(error), error, shown, tb_offset=0)
        if not hasattr(error, "add_note"):
            lines.append(note)
        return list(lines)

    if isinstance(error, BaseExceptionGroup_):
        return  # IPython ignores _render_traceback_ there
    try:
        error._render_traceback_ = render  # type: ignore[attr-defined]
    except AttributeError:
        pass  # an exception with __slots__: the longer traceback is shown


BaseExceptionGroup_: Any = getattr(builtins, "BaseExceptionGroup", ())


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
    error: BaseException = kind(described["message"])
    for note in described["notes"]:
        add_note(error, note)
    return error


def _traceback(frames: list[list[Any]]) -> types.TracebackType | None:
    """Returns a traceback of frames [file, line, function], outermost first.

    Each frame comes from code compiled under the right name at the right line, since frames
    cannot be made by hand.
    """
    made: types.TracebackType | None = None
    for filename, line, name in reversed(frames):
        linecache.checkcache(filename)
        code = compile("\n" * (max(line, 1) - 1) + "raise __error", filename, "exec")
        code = code.replace(co_name=name)
        try:
            exec(code, {"__error": RuntimeError()})
        except RuntimeError as error:
            there = error.__traceback__
            assert there is not None
            assert there.tb_next is not None
            frame = there.tb_next.tb_frame
            made = types.TracebackType(made, frame, there.tb_next.tb_lasti, line)
    return made
