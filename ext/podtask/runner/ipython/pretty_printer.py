"""The printer that ``_repr_pretty_`` receives; it breaks text into lines of 79 columns.

It behaves as IPython's printer, so that a value looks the same in a pod and in the notebook.
"""

import contextlib
from typing import Any, Callable, Iterator, List, Union

Show = Callable[[Any, "Printer", bool], None]
WIDTH_COLUMNS = 79
MAX_ELEMENTS = 1000  # of one container
MAX_TEXT_CHARS = 1 << 20  # of a value; a notebook can show no more


class TooLong(BaseException):
    """The text has its maximum length; not an Exception, which a ``_repr_pretty_`` might catch."""


class _Group:
    """A group of possible line breaks: either all of them end a line, or none does."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.broken = False
        self.fixed = False  # one break became a space, so all others become spaces, too


class _Break:
    """A possible line break; ``text`` is printed if the line does not end here."""

    def __init__(self, text: str, indentation: int, group: _Group) -> None:
        self.text = text
        self.indentation = indentation
        self.group = group


class Printer:
    """A printer that breaks text into lines; if a group is too long, it breaks the outermost groups first.

    Attributes:
        verbose: False, as in a notebook.
        max_seq_length: Maximum number of elements that are printed of a container.
        indentation: Indentation of the next line.

    Args:
        show: Prints a value, called with the value, the printer, and whether the value contains itself.
    """

    def __init__(self, show: "Show") -> None:
        self._show = show
        self.verbose = False
        self.max_seq_length = MAX_ELEMENTS
        self.max_width = WIDTH_COLUMNS
        self.indentation = 0
        self._lines: List[str] = []
        self._column = 0
        self._pending: List[Union[str, _Break]] = []
        self._size = 0  # characters of the pending text on one line
        self._total = 0
        self._groups = [_Group(0)]
        self._open_ids: List[int] = []  # ids of the values that are being printed

    def text(self, text: str) -> None:
        """Add text.

        Raises:
            TooLong: The value has more text than can be shown.
        """
        self._total += len(text)
        if self._total > MAX_TEXT_CHARS:
            text = text[: MAX_TEXT_CHARS - self._total]
        if self._pending:
            self._add(text)
        else:
            self._write(text)
        if self._total > MAX_TEXT_CHARS:
            raise TooLong

    def breakable(self, sep: str = " ") -> None:
        """Add a possible line break; ``sep`` is printed if the line does not end here."""
        if self._groups[-1].broken:
            self._new_line()
        else:
            self._add(_Break(sep, self.indentation, self._groups[-1]))

    def break_(self) -> None:
        """End the line."""
        self._break_outermost()
        self._new_line()

    def begin_group(self, indent: int = 0, open: str = "") -> None:  # noqa: A002 -- IPython's name
        """Begin a group."""
        if open:
            self.text(open)
        self._groups.append(_Group(self._groups[-1].depth + 1))
        self.indentation += indent

    def end_group(self, dedent: int = 0, close: str = "") -> None:
        """End the innermost group."""
        self.indentation -= dedent
        self._groups.pop()
        if close:
            self.text(close)

    @contextlib.contextmanager
    def group(self, indent: int = 0, open: str = "", close: str = "") -> Iterator[None]:  # noqa: A002 -- IPython's name
        """Begin a group, and end it after the block."""
        self.begin_group(indent, open)
        try:
            yield
        finally:
            self.end_group(indent, close)

    @contextlib.contextmanager
    def indent(self, indent: int) -> Iterator[None]:
        """Indent the lines that follow."""
        self.indentation += indent
        try:
            yield
        finally:
            self.indentation -= indent

    def pretty(self, obj: Any) -> None:
        """Add a value."""
        cycle = id(obj) in self._open_ids
        self._open_ids.append(id(obj))
        self.begin_group()
        try:
            self._show(obj, self, cycle)
        finally:
            self.end_group()
            self._open_ids.pop()

    def flush(self) -> None:
        """Write the pending text."""
        self._output(len(self._pending))

    def result(self) -> str:
        """Return the whole text."""
        self.flush()
        return "".join(self._lines)

    def _write(self, text: str) -> None:
        self._lines.append(text)
        self._column += len(text)

    def _new_line(self) -> None:
        self.flush()
        self._end_line(self.indentation)

    def _end_line(self, indentation: int) -> None:
        self._lines.append("\n" + " " * indentation)
        self._column = indentation

    def _add(self, item: Union[str, _Break]) -> None:
        self._pending.append(item)
        self._size += len(item if isinstance(item, str) else item.text)
        while self._column + self._size > WIDTH_COLUMNS and self._break_outermost():
            pass

    def _break_outermost(self) -> bool:
        """Break the outermost group that can still be broken, and all groups around it; return whether one was."""
        groups = [item.group for item in self._pending if isinstance(item, _Break)]
        groups = [group for group in groups if not group.fixed]
        depth = min((group.depth for group in groups), default=len(self._groups))
        for group in self._groups:
            group.broken |= group.depth < depth and not group.fixed
        if not groups:
            return False
        chosen = [group for group in groups if group.depth == depth][-1]
        chosen.broken = True
        indexes = [
            index
            for index, item in enumerate(self._pending)
            if isinstance(item, _Break) and item.group is chosen
        ]
        count = indexes[-1] + 1
        while count < len(self._pending) and isinstance(self._pending[count], str):
            count += 1
        self._output(count)
        return True

    def _output(self, count: int) -> None:
        later = {item.group for item in self._pending[count:] if isinstance(item, _Break)}
        for item in self._pending[:count]:
            text = item if isinstance(item, str) else item.text
            self._size -= len(text)
            if isinstance(item, _Break):
                if item.group.broken:
                    self._end_line(item.indentation)
                    continue
                item.group.fixed |= item.group not in later
            self._write(text)
        del self._pending[:count]
