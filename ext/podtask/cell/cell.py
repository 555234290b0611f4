"""The source of a cell, with the names that it reads and writes. Pure: executes nothing."""

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

from .dataflow import NameFlow
from .ipython_syntax import EmbeddedNames, dotted, may_embed_names, refuse_magics, strip_time_magic
from .scopes import nodes_of

FUTURE_FLAGS = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
MAX_KNOWN_CELLS = 256  # whose names need not be found again


@dataclass(frozen=True)
class Cell:
    """One cell, ready to be compiled in a pod.

    Args:
        source: Python source. Leading empty lines make its line numbers match the notebook's cell.
        filename: Name of the cell in tracebacks.
        reads: Names that may be read before the cell itself sets them.
        writes: Names that the cell sets at its top level.
        quiet: True if the cell ends with ``;``, so that the last value is not shown.
        set_before: Maps a name to the names that are always set when the cell reads it.
        maybe_set_before: Maps a name to the names that may be set when the cell's own statements
            read it.
        dotted: Names with attributes, such as ``xml.dom.minidom``.
        timed: True if the cell begins with ``%%time``.
        flags: Compiler flags for what earlier cells imported from ``__future__``.
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
        """Return the cell for a source text.

        Args:
            text: Source as typed.
            filename: Name of the cell in tracebacks.
            skip: Number of lines above the text in the notebook's cell.
            transform: IPython's function that turns its own syntax into Python.
            flags: Flags of the notebook's compiler; only those of ``__future__`` are used.

        Raises:
            SyntaxError: The text does not compile. The error has the notebook's line number.
            InputError: The text uses a magic that does not run in a pod.
        """
        text, timed = strip_time_magic(text)
        stripped = text.lstrip("\n")  # IPython would remove these lines
        skip, text = skip + len(text) - len(stripped), stripped
        source = "\n" * skip + (transform(text) if transform else text)
        return cls._of_source(source, filename, _is_quiet(text), timed, flags & FUTURE_FLAGS)

    @classmethod
    @functools.lru_cache(maxsize=MAX_KNOWN_CELLS)
    def _of_source(cls, source: str, filename: str, quiet: bool, timed: bool, flags: int) -> Cell:
        """Return the cell for a Python source. A cell that is run again is not analyzed again."""
        compile_flags = flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(source, filename, "exec", compile_flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        if not isinstance(tree, ast.Module):
            raise TypeError("compile did not return a module")
        compile(tree, filename, "exec", compile_flags, dont_inherit=True)
        nodes = nodes_of(tree)
        refuse_magics(nodes)
        if may_embed_names(source, nodes):
            tree = EmbeddedNames().visit(tree)
            nodes = nodes_of(tree)
        flow = NameFlow()
        flow.run(tree.body)
        reads, writes = tuple(sorted(flow.reads)), tuple(sorted(flow.writes))
        return cls(
            source,
            filename,
            reads,
            writes,
            quiet,
            flow.set_before,
            flow.maybe_set_before,
            dotted(nodes),
            timed,
            flags,
        )

    def may_set(self, name: str, root: str) -> bool:
        """Return whether the cell may have set a name before it reads ``root``, which needs that name."""
        return name in self.writes and name in self.maybe_set_before.get(root, self.writes)

    def line_of(self, name: str) -> int | None:
        """Return the number of the first line that contains a name."""
        for number, line in enumerate(self.source.splitlines(), 1):
            if re.search(rf"\b{re.escape(name)}\b", line):
                return number
        return None


def _is_quiet(text: str) -> bool:
    """Return whether a cell ends with ``;``, ignoring comments, as IPython's display hook does."""
    if ";" not in text:
        return False
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return text.rstrip().endswith(";")  # IPython's own syntax
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    last = [token for token in tokens if token.type not in skipped]
    return bool(last) and last[-1].string == ";"
