"""IPython's own syntax in a cell: which of it runs in a pod, and which names it reads. Pure.

The source has been transformed by IPython already: ``!ls`` is ``get_ipython().system('ls')``.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterable, Iterator

from ..errors import InputError, did_you_mean
from ..runner.ipython.shell_command import DOLLAR
from ..runner.protocol import POD_MAGICS
from .dataflow import NameFlow

OTHER_CELL_HINT = "Run it in another cell, without %%podtask."
HINTS_BY_MAGIC = {
    "timeit": "Use %time, or the timeit module.",
    "conda": "Use %pip, or choose an image with --image.",
    "run": "Import the file, or run it with !python.",
    "bash": "Prefix each line with ! instead.",
    "sh": "Prefix each line with ! instead.",
    "ls": "Use !ls.",
    "podtask": OTHER_CELL_HINT,
    "load_ext": OTHER_CELL_HINT,
    "autoreload": OTHER_CELL_HINT,
    "config": OTHER_CELL_HINT,
    "pinfo": "Ask for help in another cell.",
    "pinfo2": "Ask for help in another cell.",
    "capture": "Use contextlib.redirect_stdout, or x = !command.",
    "writefile": "Use pathlib.Path(...).write_text(...).",
}
PANDAS_QUERIES = {"query", "eval"}
# Words of code in which `EmbeddedNames` finds something, and nodes that may have an annotation.
EMBEDDING_WORDS = re.compile("exec|eval|query|get_ipython|globals|locals|vars")
ANNOTATED_NODES = frozenset({ast.arg, ast.AnnAssign, ast.FunctionDef})
AT_NAME = re.compile(r"@([^\W\d]\w*)")


def strip_time_magic(text: str) -> tuple[str, bool]:
    """Return a cell's text without a ``%%time`` in the first line, and whether it had one."""
    first, newline, rest = text.partition("\n")
    return (newline + rest, True) if first.strip() == "%%time" else (text, False)


def refuse_magics(nodes: Iterable[ast.AST]) -> None:
    """Raise an error if the nodes of a cell use a magic that does not run in a pod.

    Raises:
        InputError: The code uses such a magic. The message has its name and line.
    """
    for node in nodes:
        method, words = _call(node)
        if method not in ("run_line_magic", "run_cell_magic") or not words:
            continue
        if method == "run_line_magic" and words[0] in POD_MAGICS:
            continue
        prefix = "%" if method == "run_line_magic" else "%%"
        # IPython has turned ``x?`` into %pinfo.
        typed = f"{words[1]}?" if words[0] in ("pinfo", "pinfo2") else prefix + words[0]
        if typed == "%%time":
            raise InputError(
                f"Line {_line(node)} of the cell uses %%time, which must be on a line of its own, right below %%podtask.",
                "Move it there, or use %time for a single statement.",
            )
        known = f"{', '.join(f'%{name}' for name in POD_MAGICS)}, %%time and !commands run in a pod."
        raise InputError(
            f"Line {_line(node)} of the cell uses {typed}, which does not run in a pod."
            + ("" if words[0] in HINTS_BY_MAGIC else did_you_mean(words[0], POD_MAGICS)),
            HINTS_BY_MAGIC.get(words[0], known),
        )


def dotted(nodes: Iterable[ast.AST]) -> tuple[str, ...]:
    """Return the longest dotted names in code, such as ``xml.dom.minidom``.

    Args:
        nodes: The nodes of the code, from the outside in.
    """
    names, inner = set(), set()
    for node in nodes:
        if not isinstance(node, ast.Attribute):
            continue
        words: list[str] = []
        part: ast.AST = node
        while isinstance(part, ast.Attribute) and part not in inner:
            inner.add(part)
            words.append(part.attr)
            part = part.value
        if words and isinstance(part, ast.Name):
            names.add(".".join([part.id, *reversed(words)]))
    return tuple(sorted(names))


def may_embed_names(source: str, nodes: Iterable[ast.AST]) -> bool:
    """Return whether `EmbeddedNames` may change the tree of a source: it takes longer than the other steps together.

    Args:
        source: The code. Letters outside ASCII may stand for others in a name.
        nodes: The nodes of its tree.
    """
    return (
        EMBEDDING_WORDS.search(source) is not None
        or not source.isascii()
        or not ANNOTATED_NODES.isdisjoint(map(type, nodes))
    )


class EmbeddedNames(ast.NodeTransformer):
    """A transformer that adds the names used inside strings to a syntax tree, so that the analysis sees them."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        """Replace ``%time`` by its statements."""
        method, words = _call(node.value)
        if method == "run_line_magic" and words[0] == "time":
            try:
                return ast.parse(words[1]).body
            except SyntaxError as error:
                error.lineno = _line(node)
                raise
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Add the expressions in the string arguments of a call as further arguments."""
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval") and node.args:
            node.args += _executed(node.args[0])
        if {getattr(node.func, "attr", ""), getattr(node.func, "id", "")} & PANDAS_QUERIES:
            node.args += _queried(node)
        method, words = _call(node)
        if method in ("system", "getoutput") and words:
            node.args += _expressions(words[0])
        elif method == "run_line_magic" and len(words) > 1:
            if words[0] == "time":
                node.args += [
                    statement.value
                    for statement in ast.parse(words[1]).body
                    if isinstance(statement, ast.Expr)
                ]
            else:
                node.args += _expressions(words[1])
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Replace a parameter's annotation given as a string by its expression."""
        node.annotation = _annotation(node.annotation)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Replace a variable's annotation given as a string by its expression."""
        node.annotation = _annotation(node.annotation) or node.annotation
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Replace a return annotation given as a string by its expression."""
        node.returns = _annotation(node.returns)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Add the name that ``globals()["name"]`` reads as an argument of the call."""
        key, container = node.slice, node.value
        if (
            isinstance(container, ast.Call)
            and isinstance(container.func, ast.Name)
            and container.func.id in ("globals", "locals", "vars")
            and not container.args
            and isinstance(key, ast.Constant)
            and isinstance(node.ctx, ast.Load)
            and str(key.value).isidentifier()
        ):
            container.args.append(ast.Name(str(key.value), ast.Load()))
        return self.generic_visit(node)


def _annotation(node: ast.expr | None) -> ast.expr | None:
    """Return an annotation with its string parts parsed, as in ``"Table"`` or ``list["Table"]``."""
    for part in ast.walk(node) if node else ():
        if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant):
            part.slice = _annotation(part.slice) or part.slice
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return node
    try:
        return ast.parse(node.value, mode="eval").body
    except SyntaxError:
        return node


def _queried(call: ast.Call) -> list[ast.expr]:
    """Return the names after ``@`` in a call's strings, as in ``df.query("a > @limit")``."""
    texts = [
        part.value
        for word in (*call.args, *(each.value for each in call.keywords))
        for part in ast.walk(word)
        if isinstance(part, ast.Constant)
    ]
    names = {name for text in texts if isinstance(text, str) for name in AT_NAME.findall(text)}
    return [ast.Name(name, ast.Load()) for name in sorted(names)]


def _executed(text: ast.expr) -> list[ast.expr]:
    """Return the names read by the code in a string literal, given to exec or eval."""
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return []
    flow = NameFlow()
    try:
        flow.run(ast.parse(text.value.strip()).body)
    except SyntaxError:
        return []  # running the cell raises the error
    return [ast.Name(name, ast.Load()) for name in sorted(flow.reads)]


def _call(node: ast.AST) -> tuple[str, list[str]]:
    """Return the method and the strings of ``get_ipython().method('word', ...)``, or an empty name."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and isinstance(node.func.value.func, ast.Name)
        and node.func.value.func.id == "get_ipython"
    ):
        words = [
            arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
        ]
        return node.func.attr, words
    return "", []


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _expressions(text: str) -> Iterator[ast.expr]:
    """Yield the expressions in ``{...}`` and after ``$``, up to the first that is not valid Python.

    IPython does not expand text that is not valid.
    """
    try:
        for literal, name, spec, _ in string.Formatter().parse(text):
            for match in DOLLAR.finditer(literal):
                if not match[2].startswith("$") and not match[2][0].isdigit():
                    yield ast.parse(match[2], mode="eval").body
            if name:
                yield ast.parse(f"{name}:{spec}" if spec else name, mode="eval").body
    except (ValueError, SyntaxError):
        return
