"""Errors of a cell as the notebook raises them: the original type, the cell's own lines."""

from __future__ import annotations

import builtins
import linecache
import types
from typing import Any


class RemoteError(Exception):
    """Stands for an error whose class cannot be had here; its name and module are the original's."""


def rebuild(described: dict[str, Any], instance: BaseException | None) -> BaseException:
    """Returns the exception to raise, with a traceback made of the cell's frames.

    Args:
        described: the runner's description of the error.
        instance: the unpickled exception, where that worked.
    """
    error = instance if instance is not None else _stand_in(described)
    return error.with_traceback(_traceback(described["frames"]))


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


def _stand_in(described: dict[str, Any]) -> BaseException:
    name = described["type"]
    found = getattr(builtins, name, None) if described["module"] == "builtins" else None
    if isinstance(found, type) and issubclass(found, BaseException):
        try:
            return found(described["message"])
        except TypeError:
            pass  # UnicodeDecodeError, say, takes five arguments
    kind = type(name, (RemoteError,), {"__module__": described["module"]})
    made: BaseException = kind(described["message"])
    for note in described["notes"]:
        add_note(made, note)
    return made


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
