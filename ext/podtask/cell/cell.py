"""The source of a cell and what it reads and writes. Pure: nothing is executed here."""

from __future__ import annotations
import __future__

import ast
import functools
import io
import operator
import re
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .dataflow import Flow
from .ipython_syntax import Spelled, dotted, refuse_magics, take_time

FUTURE = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


@dataclass(frozen=True)
class Cell:
    """One cell, ready to be compiled elsewhere.

    Args:
        source: Python source; empty lines in front make its line numbers those of the notebook.
        filename: what tracebacks call it.
        reads: names that may be read before the cell itself sets them.
        writes: names it sets at its top level.
        quiet: it ends with ``;``: the last value is not shown.
        settled: name -> the names that the cell has set whenever it reads that one.
        possible: name -> the names that it may have set whenever it reads that one at once.
        dotted: names with attributes in it, ``xml.dom.minidom``.
        timed: it begins with ``%%time``.
        flags: of the compiler: what earlier cells have imported from ``__future__``.
    """

    source: str
    filename: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    quiet: bool = False
    set_before: Mapping[str, frozenset[str]] = field(default_factory=dict)
    maybe_set_before: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dotted: tuple[str, ...] = ()
    timed: bool = False
    flags: int = 0

    @classmethod
    def of(
        cls,
        text: str,
        filename: str = "<podtask cell>",
        skip: int = 0,
        transform: Callable[[str], str] | None = None,
        flags: int = 0,
    ) -> Cell:
        """Return the cell of a text.

        Args:
            text: the source as typed.
            filename: what tracebacks call it.
            skip: lines that stand above it in the notebook's cell.
            transform: IPython's, which turns its own syntax into Python.
            flags: of the notebook's compiler; of these, those of ``__future__`` count.

        Raises:
            SyntaxError: it does not compile, with the notebook's line.
            InputError: it uses a magic that has no meaning in the pod.
        """
        text, timed = take_time(text)
        below = text.lstrip("\n")  # IPython would take such lines away
        skip, text = skip + len(text) - len(below), below
        source = "\n" * skip + (transform(text) if transform else text)
        flags &= FUTURE
        how = flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(source, filename, "exec", how | ast.PyCF_ONLY_AST, dont_inherit=True)
        if not isinstance(tree, ast.Module):
            raise TypeError("compile gave no module")
        compile(tree, filename, "exec", how, dont_inherit=True)
        refuse_magics(tree)
        flow = Flow()
        tree = Spelled().visit(tree)
        flow.run(tree.body)
        reads, writes = tuple(sorted(flow.reads)), tuple(sorted(flow.writes))
        return cls(
            source,
            filename,
            reads,
            writes,
            _is_quiet(text),
            flow.set_before,
            flow.maybe_set_before,
            dotted(tree),
            timed,
            flags,
        )

    def may_set(self, name: str, root: str) -> bool:
        """Return whether the cell may have set a name wherever it reads it, or another that needs it."""
        return name in self.writes and name in self.maybe_set_before.get(root, self.writes)

    def line_of(self, name: str) -> int | None:
        """Return the first line that has a name."""
        for number, line in enumerate(self.source.splitlines(), 1):
            if re.search(rf"\b{re.escape(name)}\b", line):
                return number
        return None


def _is_quiet(text: str) -> bool:
    """Return whether the last thing in a cell but comments is ``;``, as IPython's display hook asks."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return text.rstrip().endswith(";")  # IPython's own syntax
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    last = [token for token in tokens if token.type not in skipped]
    return bool(last) and last[-1].string == ";"
