"""The source lines around the frames of an error: the notebook may lack the library, or have another version."""

import inspect
import json
import linecache
import tokenize
from typing import Any, Dict, Iterable, List, Tuple

MAX_FUNCTION_LINES = 40  # a longer function is cut to the lines around the frame
LINES_BEFORE, LINES_AFTER = 5, 5
MAX_LINE_CHARS = 400
MAX_SOURCE_CHARS = 64 << 10  # of all excerpts, as JSON
CUT = "…"  # at the end of a line that was too long
Excerpt = Tuple[str, int, List[str]]  # file, number of the first line, lines


def excerpts(entries: Iterable[Any]) -> List[Excerpt]:
    """Return excerpts of the files that frames are in, each once, as long as there is room.

    The notebook has the sources of its own cells, so their frames have none. Values are never part of it.

    Args:
        entries: Entries of tracebacks, the most important first.
    """
    found: Dict[Tuple[str, int, int], Excerpt] = {}
    room = MAX_SOURCE_CHARS
    for entry in entries:
        code = entry.tb_frame.f_code
        if entry.tb_frame.f_globals.get("__name__") == "__main__":
            continue
        lines = linecache.getlines(code.co_filename, entry.tb_frame.f_globals)
        if not 0 < entry.tb_lineno <= len(lines):
            continue
        first, end = _range(code, lines, entry.tb_lineno)
        key = code.co_filename, first, end
        if key in found:
            continue
        excerpt = (code.co_filename, first, [_shorten(line) for line in lines[first - 1 : end]])
        room -= len(json.dumps(excerpt))
        if room < 0:
            break
        found[key] = excerpt
    return [*found.values()]


def _range(code: Any, lines: List[str], line: int) -> Tuple[int, int]:
    """Return the first and the last line of a frame's function, or of a part of it around a line."""
    first, end = 1, len(lines)
    if code.co_name != "<module>":
        first = min(code.co_firstlineno, line)
        near = lines[first - 1 : max(line + LINES_AFTER, first + MAX_FUNCTION_LINES)]
        if sum(map(len, near)) <= MAX_SOURCE_CHARS:  # else it takes long to find the end
            try:
                end = first - 1 + len(inspect.getblock(near))
            except (SyntaxError, tokenize.TokenError):
                pass  # the function goes on, or the file has changed since its import
    if end < line or end - first >= MAX_FUNCTION_LINES:
        first, end = max(first, line - LINES_BEFORE), min(max(line, end), line + LINES_AFTER)
    return first, end


def _shorten(line: str) -> str:
    line = line.rstrip("\r\n")
    return line if len(line) <= MAX_LINE_CHARS else line[: MAX_LINE_CHARS - 1] + CUT
