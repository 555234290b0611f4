"""The source lines around the frames of an error: the notebook may lack the library, or have another version.

Tracebacks are rendered by programs that tokenize a function from its first line. So an excerpt has whole logical
lines only, and begins with the function's own ``def``.
"""

import inspect
import io
import json
import linecache
import re
import tokenize
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

MAX_FUNCTION_LINES = 60  # of a longer function, only the lines around the frame are sent
LINES_BEFORE, LINES_AFTER = 6, 4
MAX_LINE_CHARS = 400
MAX_SOURCE_CHARS = 64 << 10  # of all excerpts, as JSON
CUT = "..."  # the end of a line that was too long
DEFINITION = re.compile(r"\s*(?:async\s+def|def|class)\b")
Excerpt = Tuple[str, Dict[int, str]]  # file, lines by their number


def excerpts(entries: Iterable[Any]) -> List[Excerpt]:
    """Return excerpts of the files that frames are in, each once, as long as there is room.

    The notebook has the sources of its own cells, so their frames have none. Values are never part of it.

    Args:
        entries: Entries of tracebacks, the most important first.
    """
    found: Dict[str, Dict[int, str]] = {}
    done = set()
    room = MAX_SOURCE_CHARS
    for entry in entries:
        code, line = entry.tb_frame.f_code, entry.tb_lineno
        if (code, line) in done or entry.tb_frame.f_globals.get("__name__") == "__main__":
            continue
        if code.co_filename == "<string>":  # since Python 3.13, linecache has the runner's own text for it
            continue
        done.add((code, line))
        lines = linecache.getlines(code.co_filename, entry.tb_frame.f_globals)
        if not 0 < line <= len(lines):
            continue
        numbers = [*_numbers(code, lines, line)]
        excerpt = {number: _shorten(lines[number - 1]) for number in numbers}
        room -= len(json.dumps(excerpt))
        if room < 0:
            break
        found.setdefault(code.co_filename, {}).update(excerpt)
    return [*found.items()]


def _numbers(code: Any, lines: List[str], line: int) -> Iterable[int]:
    """Return the numbers of the lines to send for a frame: of its function, or of a part of it."""
    if code.co_name == "<module>":
        return range(max(1, line - LINES_BEFORE), min(len(lines), line + LINES_AFTER) + 1)
    first = min(code.co_firstlineno, line)
    if code.co_name.startswith("<"):  # a lambda or a comprehension
        first = _outer_definition(lines, first)
    if len(lines[first - 1]) > MAX_LINE_CHARS or sum(map(len, lines[first - 1 : line])) > MAX_SOURCE_CHARS:
        return [line]  # generated code: it takes long to tokenize it
    try:
        size = len(inspect.getblock(lines[first - 1 : max(line, first + MAX_FUNCTION_LINES) + LINES_AFTER]))
    except (SyntaxError, tokenize.TokenError):
        size = MAX_FUNCTION_LINES + 1  # the function goes on
    if line - first < size <= MAX_FUNCTION_LINES:
        return range(first, first + size)
    return _around(lines, first, line)


def _outer_definition(lines: List[str], first: int) -> int:
    """Return the first line of the definition around a line; the line itself at the top level of a module."""
    indent = _indent(lines[first - 1])
    for number in range(first - 1, 0, -1):
        text = lines[number - 1]
        if DEFINITION.match(text) and _indent(text) < indent:
            return number
    return first


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


class _LogicalLine(NamedTuple):
    first: int
    last: int
    indent: int


def _logical_lines(lines: List[str], first: int) -> Iterator[_LogicalLine]:
    """Yield the logical lines of a source from a line on, until it cannot be tokenized."""
    text = io.StringIO("".join(lines[first - 1 :]))
    start = None
    try:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.NEWLINE and start is not None:
                yield _LogicalLine(start[0] + first - 1, token.start[0] + first - 1, start[1])
                start = None
            elif start is None and token.string.strip() and token.type != tokenize.COMMENT:
                start = token.start
    except (SyntaxError, tokenize.TokenError):
        pass  # not Python any more


def _around(lines: List[str], first: int, line: int) -> Iterator[int]:
    """Yield the numbers of the lines of a function's ``def``, and of logical lines around one of its lines.

    They are those of the same block, and the lines that begin the blocks around it, so that the indentation of what
    is left is consistent.
    """
    before: List[_LogicalLine] = []
    after: List[_LogicalLine] = []
    for each in _logical_lines(lines, first):
        if each.last < line or not after:
            (before if each.last < line else after).append(each)
        elif each.indent != after[0].indent or len(after) > LINES_AFTER:
            break
        else:
            after.append(each)
    if not after:
        return
    head = next((each for each in before if DEFINITION.match(lines[each.first - 1])), after[0])
    chosen: List[_LogicalLine] = []
    indent = after[0].indent
    for each in reversed(before):
        if each.indent <= indent and each.indent > head.indent and len(chosen) < LINES_BEFORE:
            chosen.append(each)
            indent = each.indent
    for each in dict.fromkeys([head, *reversed(chosen), *after]):
        yield from range(each.first, each.last + 1)


def _shorten(line: str) -> str:
    """Return a line; one that is too long without what its first bracket, quotation mark or comment begins."""
    line = line.rstrip("\r\n")
    if len(line) <= MAX_LINE_CHARS:
        return line
    opening = re.search(r"[\"'#(\[{\\]", line[: MAX_LINE_CHARS - len(CUT)])
    return line[: opening.start() if opening else MAX_LINE_CHARS - len(CUT)] + CUT
