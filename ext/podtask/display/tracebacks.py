"""Show errors of a cell as IPython does, with the cell's own frames only."""

from __future__ import annotations

from typing import Any

from ..pickling.exceptions import render_with, traceback_lines


def render_in(shell: Any, error: BaseException) -> None:
    """Make IPython show only the cell's frames of an error, in its own colors and format.

    Args:
        shell: The shell of IPython.
        error: The error, with the frames to show as its traceback.
    """
    shown = error.__traceback__
    render_with(error, lambda: traceback_lines(shell, error, shown))
