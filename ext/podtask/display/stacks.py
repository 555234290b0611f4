"""The stacks of all threads of a cell that runs: the lines of the notebook's cells are marked."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from typing import NamedTuple

from ..runner.protocol import RUNNER_FILENAME
from ..runner.safe_text import safe_text

THREAD = re.compile(r"(?:Current thread|Thread) (0x[0-9a-f]+)(?: \[(.*)\])? \(most recent call first\):")
FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)')
EXECUTES_CELL = "worker/execute.py"  # the runner's frame below which the cell runs
CELL_PREFIX = ">"


class StackFrame(NamedTuple):
    """A frame of a stack.

    Attributes:
        filename: Name of the file; that of a cell is the name that the kernel has given it.
        line: Number of the line, from 1.
        function: Name of the function.
    """

    filename: str
    line: int
    function: str


def render_stacks(text: str, cell_name: Callable[[str], str]) -> str:
    """Return the stacks of the user's threads, the oldest first, each with its most recent call last.

    Args:
        text: The stacks, as ``faulthandler`` writes them.
        cell_name: Returns the name of a cell for its file name; empty for other files.
    """
    blocks = []
    for thread, frames in reversed(read_threads(text)):
        shown = own_frames(frames)
        if shown:
            title = f"Thread {thread} (most recent call last):"
            blocks.append("\n".join([title, *(_frame_line(frame, cell_name) for frame in shown)]))
    return safe_text("\n\n".join(blocks) or "No cell runs, and no thread of one.")


def read_threads(text: str) -> list[tuple[str, list[StackFrame]]]:
    """Return each thread, the newest first, with its frames, the most recent call last."""
    found: list[tuple[str, list[StackFrame]]] = []
    for line in text.splitlines():
        thread, frame = THREAD.match(line), FRAME.match(line)
        if thread is not None:
            found.append((" ".join(filter(None, (thread[1], thread[2]))), []))
        elif frame is not None and found:
            found[-1][1].insert(0, StackFrame(frame[1], int(frame[2]), frame[3]))
    return found


def own_frames(frames: list[StackFrame]) -> list[StackFrame]:
    """Return the frames of a thread without those of the runner; none if the thread is the runner's."""
    of_runner = [frame.filename.startswith(RUNNER_FILENAME) for frame in frames]
    if any(of_runner):
        below = [
            number
            for number, frame in enumerate(frames)
            if of_runner[number] and frame.filename.endswith(EXECUTES_CELL)
        ]
        if not below:
            return []
        frames = frames[below[-1] + 1 :]
    return [frame for frame in frames if not frame.filename.startswith(RUNNER_FILENAME)]


def _frame_line(frame: StackFrame, cell_name: Callable[[str], str]) -> str:
    name = cell_name(frame.filename)
    if not name:
        return f"  {frame.filename}, line {frame.line}, in {frame.function}"
    source = linecache.getline(frame.filename, frame.line).strip()
    return f"{CELL_PREFIX} {name}, line {frame.line}, in {frame.function}: {source}"
