"""Show errors of a cell as IPython does, with the cell's own frames only."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from ..pickling.exceptions import BaseExceptionGroup_, notes_to_show


def render_in(shell: Any, error: BaseException, note: str) -> None:
    """Make IPython show only the cell's frames of an error, in its own colors and format."""
    shown = error.__traceback__

    def render() -> list[str]:
        lines = shell.InteractiveTB.structured_traceback(type(error), error, shown, tb_offset=0)
        return [*lines, *notes_to_show(error, note)]

    if isinstance(error, (SyntaxError, BaseExceptionGroup_)):
        _show_once(shell, error, note)
        return
    try:
        error._render_traceback_ = render  # type: ignore[attr-defined]
    except AttributeError:
        pass  # an exception with __slots__: IPython shows the longer traceback


def _show_once(shell: Any, error: BaseException, note: str) -> None:
    """Render the next error of this class ourselves: IPython ignores its ``_render_traceback_``."""
    shown = error.__traceback__
    before = shell.custom_exceptions, shell.CustomTB

    def show(shell: Any, kind: Any, value: Any, found: Any, tb_offset: Any = None) -> list[str]:
        shell.custom_exceptions, shell.CustomTB = before
        value.with_traceback(shown)
        # For %tb and %debug.
        sys.last_type, sys.last_value, sys.last_traceback = kind, value, shown
        setattr(sys, "last_exc", value)  # noqa: B010 -- Python 3.12's name
        if isinstance(value, SyntaxError):
            frames = traceback.extract_tb(shown)
            lines = shell.SyntaxTB.structured_traceback(kind, value, frames)
        else:
            lines = "".join(traceback.format_exception(value)).splitlines()
        lines += notes_to_show(value, note)
        shell._showtraceback(kind, value, lines)  # noqa: SLF001 -- the only way, in IPython as in a kernel
        return list(lines)

    shell.set_custom_exc((type(error),), show)
