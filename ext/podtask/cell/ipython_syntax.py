"""IPython's own syntax in a cell: what of it runs in a pod, and what it reads. Pure.

IPython's transformation has made calls of it: ``get_ipython().system('ls')`` of ``!ls``.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator

from ..errors import InputError, nearest
from ..runner.ipython.shell_command import DOLLAR
from ..runner.protocol import POD_MAGICS
from .dataflow import Flow

HERE = "Run it in another cell, without %%podtask."
ADVICE = {
    "timeit": "Use %time, or the timeit module.",
    "conda": "Use %pip, or choose an image with --image.",
    "run": "Import the file, or run it with !python.",
    "bash": "Begin its lines with ! instead.",
    "sh": "Begin its lines with ! instead.",
    "ls": "Use !ls.",
    "podtask": HERE,
    "load_ext": HERE,
    "autoreload": HERE,
    "config": HERE,
    "pinfo": "Ask for help in another cell.",
    "pinfo2": "Ask for help in another cell.",
    "capture": "Use contextlib.redirect_stdout, or x = !command.",
    "writefile": "Use pathlib.Path(...).write_text(...).",
}
QUERIES = {"query", "eval"}  # pandas'
AT = re.compile(r"@([^\W\d]\w*)")


def take_time(text: str) -> tuple[str, bool]:
    """Return a cell's text without ``%%time`` as its first line, and whether that was there."""
    first, newline, rest = text.partition("\n")
    return (newline + rest, True) if first.strip() == "%%time" else (text, False)


def refuse_magics(tree: ast.Module) -> None:
    """Look for magics that have no meaning in a pod.

    Raises:
        InputError: there is one; names it and its line.
    """
    for node in ast.walk(tree):
        method, words = _call(node)
        if method not in ("run_line_magic", "run_cell_magic") or not words:
            continue
        if method == "run_line_magic" and words[0] in POD_MAGICS:
            continue
        mark = "%" if method == "run_line_magic" else "%%"
        # ``x?`` has become pinfo.
        said = f"{words[1]}?" if words[0] in ("pinfo", "pinfo2") else mark + words[0]
        if said == "%%time":
            raise InputError(
                f"Line {_line(node)} of the cell has %%time with something beside or above it.",
                "It works alone in its line, right below %%podtask; %time is for one statement.",
            )
        known = f"{', '.join(f'%{name}' for name in POD_MAGICS)}, %%time and !commands do."
        raise InputError(
            f"Line {_line(node)} of the cell uses {said}, which does not run in a pod."
            + ("" if words[0] in ADVICE else nearest(words[0], POD_MAGICS)),
            ADVICE.get(words[0], known),
        )


def dotted(tree: ast.AST) -> tuple[str, ...]:
    """Return the names with attributes in a piece of code, ``xml.dom.minidom``, the longest."""
    found, inner = set(), set()
    for node in ast.walk(tree):  # from the outside in
        words: list[str] = []
        part = node
        while isinstance(part, ast.Attribute) and part not in inner:
            inner.add(part)
            words.append(part.attr)
            part = part.value
        if words and isinstance(part, ast.Name):
            found.add(".".join([part.id, *reversed(words)]))
    return tuple(sorted(found))


class Spelled(ast.NodeTransformer):
    """Spell out in a tree, for who looks for names, what IPython's syntax hides in strings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        """Put the statements of ``%time`` in its place."""
        method, words = _call(node.value)
        if method == "run_line_magic" and words[0] == "time":
            try:
                return ast.parse(words[1]).body
            except SyntaxError as error:
                error.lineno = _line(node)
                raise
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Give calls the expressions of their strings as more arguments."""
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval") and node.args:
            node.args += _executed(node.args[0])
        if {getattr(node.func, "attr", ""), getattr(node.func, "id", "")} & QUERIES:
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
        """Put what a parameter's annotation means in the place of its text."""
        node.annotation = _annotation(node.annotation)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The same of a variable's."""
        node.annotation = _annotation(node.annotation) or node.annotation
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """The same of what a function returns."""
        node.returns = _annotation(node.returns)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Put the name that ``globals()["name"]`` reads beside its text."""
        key, of = node.slice, node.value
        if (
            isinstance(of, ast.Call)
            and isinstance(of.func, ast.Name)
            and of.func.id in ("globals", "locals", "vars")
            and not of.args
            and isinstance(key, ast.Constant)
            and isinstance(node.ctx, ast.Load)
            and str(key.value).isidentifier()
        ):
            of.args.append(ast.Name(str(key.value), ast.Load()))
        return self.generic_visit(node)


def _annotation(node: ast.expr | None) -> ast.expr | None:
    """Return an annotation with the code of its text, ``"Table"`` or ``list["Table"]``."""
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
    """Return the names behind ``@`` in a call's texts, as in ``df.query("a > @limit")``."""
    texts = [
        part.value
        for word in (*call.args, *(each.value for each in call.keywords))
        for part in ast.walk(word)
        if isinstance(part, ast.Constant)
    ]
    names = {name for text in texts if isinstance(text, str) for name in AT.findall(text)}
    return [ast.Name(name, ast.Load()) for name in sorted(names)]


def _executed(text: ast.expr) -> list[ast.expr]:
    """Return the names that a text reads which exec or eval is given; none where it is no text."""
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return []
    flow = Flow()
    try:
        flow.run(ast.parse(text.value.strip()).body)
    except SyntaxError:
        return []  # running it says so
    return [ast.Name(name, ast.Load()) for name in sorted(flow.reads)]


def _call(node: ast.AST) -> tuple[str, list[str]]:
    """Return method and words of ``get_ipython().method('word', ...)``; of others an empty name."""
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
    """Yield what stands in ``{...}`` and behind ``$``; nothing from there on where it is no Python.

    IPython leaves such a text as it is.
    """
    try:
        for literal, name, spec, _ in string.Formatter().parse(text):
            for found in DOLLAR.finditer(literal):
                if not found[2].startswith("$") and not found[2][0].isdigit():
                    yield ast.parse(found[2], mode="eval").body
            if name:
                yield ast.parse(f"{name}:{spec}" if spec else name, mode="eval").body
    except (ValueError, SyntaxError):
        return
