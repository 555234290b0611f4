"""The source of a cell: the names it reads and writes, and magics that are refused before it runs."""

from __future__ import annotations
import __future__

import argparse
import ast
import inspect
import sys
import types

import pytest
from podtask.cell import scopes
from podtask.cell.cell import Cell
from podtask.cell.scopes import free_names
from podtask.errors import InputError

TABLE = [
    # source, reads, writes
    ("", "", ""),
    ("x = 1\nx", "", "x"),
    ("x\nx = 1", "x", "x"),
    ("x = x + 1", "x", "x"),
    ("x += 1", "x", "x"),
    ("x = 0\nx += y", "y", "x"),
    ("a = b = c", "c", "a b"),
    ("x: int = y", "int y", "x"),
    ("x.a += y", "x y", ""),
    ("x[i] = y", "i x y", ""),
    ("if a:\n    x = 1\nelse:\n    x = 2\nx", "a", "x"),
    ("if a:\n    x = 1\nx", "a x", "x"),
    ("if a:\n    x = 1\nelif b:\n    x = 2\nelse:\n    x = 3\nx", "a b", "x"),
    ("if a:\n    x = 1\nelse:\n    x", "a x", "x"),
    ("for i in n:\n    i", "n", "i"),
    ("for i in n:\n    s = i\nprint(i, s)", "i n print s", "i s"),
    ("for i, (j, *k) in n:\n    i + j, k", "n", "i j k"),
    ("for i in n:\n    pass\nelse:\n    q = 1", "n", "i q"),
    ("for x[0] in y:\n    pass", "x y", ""),
    ("while t:\n    u = t\nu", "t u", "u"),
    ("[v for v in d if v > b]", "b d", ""),
    ("{k: v + z for k, v in d.items()}", "d z", ""),
    ("sum(v for v in v)", "sum v", ""),
    ("x = 1\n[x for _ in r]", "r", "x"),
    ("[a + b for a in c for b in a]", "c", ""),
    ("f = lambda q, r=s: q + r + t", "s t", "f"),
    ("def f(a, b=c):\n    e = a\n    return e + b + d", "c d", "f"),
    ("def f(x):\n    def g():\n        return x + y\n    return g", "y", "f"),
    ("d = 1\ndef f():\n    return d", "", "d f"),
    ("@dec\ndef f(a: T) -> U: pass", "T U dec", "f"),
    ("class A(B):\n    y = 1\n    z = y\n    def m(self):\n        return w", "B w", "A"),
    ("class A:\n    t = u\nA.t", "u", "A"),
    ("del x", "x", ""),
    ("x = 1\ndel x", "", "x"),
    ("x = 1\ndel x\nx", "x", "x"),
    ("(n := y)\nn", "y", "n"),
    ("if (n := len(a)) > 3:\n    n", "a len", "n"),
    ("[y := f(v) for v in d]\ny", "d f y", "y"),
    ("if a and (y := 7):\n    y", "a", "y"),
    ("if a and (y := 7):\n    pass\ny", "a y", "y"),
    ("if (y := a) and b:\n    pass\ny", "a b", "y"),
    ("if a or (y := 7):\n    y", "a y", "y"),
    ("z = (y := 7) if a else 0\ny", "a y", "y z"),
    ("y = a and (y := 7)\ny", "a", "y"),
    ("a < (y := 1) < (z := 2)\ny, z", "a z", "y z"),
    ("f = lambda: (y := 1)\ny", "y", "f"),
    ("with a as b, c(b) as (d, e):\n    x = d\nx", "a c x", "b d e x"),
    ("with a as b, c as d:\n    x = d\nb, d", "a c d", "b d x"),
    ("with open(a) as b, c.open() as d:\n    x = d\nx, d", "a c open", "b d x"),
    ("for i in n:\n    if i:\n        x = 1\n        break\nelse:\n    x = 2\nx", "n", "i x"),
    ("for i in n:\n    if i:\n        break\nelse:\n    x = 2\nx", "n x", "i x"),
    ("while True:\n    x = f()\n    if x:\n        break\nx", "f", "x"),
    ("while True:\n    if a:\n        break\n    x = 1\nx", "a x", "x"),
    ("while a:\n    x = 1\n    break\nx", "a x", "x"),
    ("while (x := f()):\n    pass\nx", "f", "x"),
    ("if a:\n    x = 1\nelse:\n    raise E\nx", "E a", "x"),
    ("for i in n:\n    if i:\n        continue\n    else:\n        x = 1\n    x", "n", "i x"),
    ("try:\n    x = 1\nexcept E:\n    raise\nx", "E", "x"),
    ("try:\n    x = 1\nexcept E:\n    x = 2\nx", "E", "x"),
    ("try:\n    x = 1\nfinally:\n    y = 2\nx, y", "", "x y"),
    ("try:\n    x = 1\nfinally:\n    x", "x", "x"),
    ("x = 1\ntry:\n    del x\nexcept E:\n    x", "E x", "x"),
    ("try:\n    f()\nexcept E as e:\n    pass\ne", "E e f", ""),
    ("match v:\n    case 1:\n        r = h\n    case _:\n        r = 2\nr", "h v", "r"),
    ("match v:\n    case 1:\n        r = h\nr", "h r v", "r"),
    ("with a:\n    b", "a b", ""),
    ("try:\n    x = f()\nexcept E as e:\n    print(e)", "E f print", "x"),
    ("try:\n    x = 1\nexcept E:\n    pass\nx", "E x", "x"),
    ("try:\n    x = 1\nexcept E:\n    x", "E x", "x"),
    ("try:\n    x = 1\nexcept E:\n    pass\nelse:\n    x\nfinally:\n    z", "E z", "x"),
    ("a, *b = xs\na, b", "xs", "a b"),
    ("(a, b), [c, *d] = xs", "xs", "a b c d"),
    ("print(*xs, **kw)", "kw print xs", ""),
    ("import a.b.c\na", "", "a"),
    ("import a.b as c\nc", "", "c"),
    ("from m import a, b as c\na, c", "", "a c"),
    ("from m import *\nx", "x", ""),
    ("if a:\n    import m\nm", "a m", "m"),
    ("def f():\n    global g\n    g = 1", "", "f"),
    ("def f():\n    global g\n    g = g + 1", "g", "f"),
    ("x = await f(y)", "f y", "x"),
    ("xs = [await f(i) for i in ys]", "f ys", "xs"),
    ("async for i in s:\n    i", "s", "i"),
    ("async with c as d:\n    d", "c", "d"),
    ("async def f():\n    return await z", "z", "f"),
    ("f'{a!r:{b}}'", "a b", ""),
    ("assert a, b", "a b", ""),
    ("match v:\n    case 1 if g:\n        r = h", "g h v", "r"),
    ("x: T", "T", ""),
    ("x: T = 3\nx", "T", "x"),
    ("def f(n):\n    return f(n - 1)\nf(3)", "", "f"),
    ("class A:\n    n = 1\n    m = [n for _ in b]\n    k = n", "b n", "A"),
    ("class A:\n    n = 1\n    def f(self):\n        return n", "n", "A"),
    ("class A:\n    n = 1\n    m = n", "", "A"),
    ("exec('a = b + 1; c = a')", "b exec", ""),
    ("eval('a + b')", "a b eval", ""),
    ("exec(text)\neval('no python here')", "eval exec text", ""),
    ("globals()['a']\nglobals()['b'] = 1", "a globals", ""),
    ("df.query('a > @k and b == @m.x')", "df k m", ""),
    ("df.eval(f'c = a * @k + {n}')", "df k n", ""),
    ("mail('a@b')", "mail", ""),
    ("def f(x: 'T', y: list['U']) -> 'V': pass", "T U V list", "f"),
    ("x: 'T | no python'\ny: 'T'", "T", ""),
    ("@f.register\ndef f(n):\n    return f", "f", "f"),
]


@pytest.mark.parametrize(("source", "reads", "writes"), TABLE, ids=[row[0] for row in TABLE])
def test_reads_and_writes(source: str, reads: str, writes: str) -> None:
    """A cell reads the names that it may use before setting them, and writes the names that it sets."""
    cell = Cell.of(source)
    assert (" ".join(cell.reads), " ".join(cell.writes)) == (reads, writes)


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("for n in range(2):\n    con = f()\ncon", True),
        ("if a:\n    con = f()\ncon", True),
        ("def g():\n    return con\ncon = f()\ng()", True),
        ("if a and (con := f()):\n    pass\ncon", True),
        ("con = con.again()", False),
        ("con.close()\ncon = f()", False),
        ("con += 1", False),
        ("class A:\n    x = con\ncon = f()", False),
        ("del con\ncon = f()", False),
        ("def g(x=con):\n    return x\ncon = f()", False),
        ("con", False),
    ],
)
def test_possibly_set_names_are_found(source: str, may: bool) -> None:
    """A name that may be bound before each of its uses is reported as possibly set by the cell."""
    cell = Cell.of(source)
    assert "con" in cell.reads
    assert cell.may_set("con", "con") is may


def test_future_imports_of_earlier_cells_apply() -> None:
    """Compiler flags for ``__future__`` imports are kept, and other flags are ignored."""
    flags = __future__.annotations.compiler_flag | ast.PyCF_ONLY_AST
    assert Cell.of("def f(x: there_is_none): pass", flags=flags).flags == __future__.annotations.compiler_flag


@pytest.mark.skipif(sys.version_info < (3, 11), reason="except* came with 3.11")
def test_reads_of_exception_groups() -> None:
    """``except*`` handlers are analyzed like others."""
    cell = Cell.of("try:\n    a = 1\nexcept* E:\n    b")
    assert (cell.reads, cell.writes) == (("E", "b"), ("a",))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x):\n    return x + y + len(z)", {"y", "z", "len"}),
        ("class A(B):\n    def m(self):\n        return [w for w in v]", {"B", "v"}),
        ("\n\nf = lambda a: a", set()),
    ],
)
def test_free_names_of_a_definition(source: str, names: set[str]) -> None:
    """A definition needs the globals that its body and its nested functions read."""
    assert free_names(source) == names


@pytest.mark.parametrize("skip", [0, 1, 5])
@pytest.mark.parametrize(
    "bad",
    ["y = = 2", "return 1", "def f(:\n    pass", "break"],
    ids=["parse", "return", "def", "break"],
)
def test_syntax_error_has_the_notebooks_line(bad: str, skip: int) -> None:
    """The line number of a syntax error includes the lines above the cell's own source."""
    with pytest.raises(SyntaxError) as caught:
        Cell.of(f"x = 1\n{bad}\n", "cell 7", skip=skip)
    assert (caught.value.lineno, caught.value.filename) == (2 + skip, "cell 7")


@pytest.mark.parametrize("skip", [0, 1, 3])
def test_lines_are_the_notebooks(skip: int) -> None:
    """The statements in the source have the line numbers of the notebook's cell."""
    cell = Cell.of("a = 1\nb = 2", skip=skip)
    assert [node.lineno for node in ast.parse(cell.source).body] == [skip + 1, skip + 2]


@pytest.mark.parametrize(
    ("text", "quiet"),
    [("x", False), ("x;", True), ("x; \n\n", True), ("x; y", False), ("x = ';'", False)],
)
def test_semicolon_at_the_end_makes_quiet(text: str, quiet: bool) -> None:
    """A cell that ends with a semicolon shows no value."""
    assert Cell.of(text).quiet is quiet


def test_transform_comes_before_parsing() -> None:
    """IPython's transformation receives the text as typed, and its result is the source."""
    seen = []

    def transform(text: str) -> str:
        seen.append(text)
        return text.replace("?", "_")

    cell = Cell.of("a? = 1", skip=2, transform=transform)
    assert seen == ["a? = 1"]
    assert (cell.source, cell.writes) == ("\n\na_ = 1", ("a_",))


@pytest.mark.parametrize("skip", [0, 2])
@pytest.mark.parametrize(
    "line",
    [
        "get_ipython().run_line_magic('who', '')",
        "x = get_ipython().run_line_magic('timeit', 'y')",
        "f(lambda: get_ipython().run_cell_magic('bash', '', 'ls'))",
    ],
)
def test_ipythons_syntax_is_refused(line: str, skip: int) -> None:
    """A magic is rejected by name, with its line number in the notebook's cell."""
    with pytest.raises(InputError) as caught:
        Cell.of(f"a = 1\n{line}", skip=skip)
    assert caught.value.message.startswith(f"Line {2 + skip} of the cell uses %")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("get_ipython().system('echo {a} $b.c {d[1:2]} $$e {f!r}')", "a b d f"),
        ("x = get_ipython().getoutput('ls {a}')", "a"),
        ("get_ipython().system(\"awk '{print $1}' $HOME\")", ""),
        ("get_ipython().run_line_magic('time', 'y = f(a)')\ny", "a f"),
        ("get_ipython().run_line_magic('cd', '{a}')", "a"),
    ],
)
def test_names_in_commands_are_read(source: str, reads: str) -> None:
    """Names in a command ({name}, $name) and in %time count as read by the cell."""
    assert " ".join(name for name in Cell.of(source).reads if name != "get_ipython") == reads


def test_names_with_attributes_are_found() -> None:
    """The longest dotted name at each place is found, also in functions and commands."""
    cell = Cell.of("a.b.c(d.e)[f.g].h\ndef k():\n    return a.b\nget_ipython().system('{m.n}')")
    assert cell.dotted == ("a.b", "a.b.c", "d.e", "f.g", "m.n")


def test_string_that_mentions_a_magic_is_accepted() -> None:
    """A string that mentions get_ipython is accepted."""
    assert Cell.of("x = 'get_ipython()'  # get_ipython()").writes == ("x",)


def test_nothing_is_executed() -> None:
    """Reading a cell does not run it."""
    assert Cell.of("raise SystemExit(1 / 0)").reads == ("SystemExit",)


def test_cell_that_is_run_again_is_not_analyzed_again() -> None:
    """The same text at the same place is the same cell; another place, flag or end of the text makes another one."""
    text = "x = y + 1\nx"
    first = Cell.of(text, "<a>")
    assert Cell.of(text, "<a>") is first
    assert Cell.of(text, "<b>").filename == "<b>"
    assert Cell.of(text, "<a>", skip=2).source == "\n\n" + text
    assert Cell.of(text + ";", "<a>").quiet
    assert Cell.of(text, "<a>", transform=lambda given: given.replace("y", "z")).reads == ("z",)
    assert Cell.of(text, "<a>", flags=__future__.annotations.compiler_flag).flags


@pytest.mark.parametrize(
    "module", [argparse, ast, sys.modules[__name__]], ids=["argparse", "ast", "these tests"]
)
def test_names_of_plain_statements_are_those_of_the_compiler(module: types.ModuleType) -> None:
    """Without the compiler's symbol table, plain statements have the same names; its nodes are those of ast.walk."""
    tree = ast.parse(inspect.getsource(module))
    assert scopes.nodes_of(tree) == list(ast.walk(tree))
    statements = (ast.Expr, ast.Assign, ast.AugAssign, ast.Delete, ast.Import, ast.ImportFrom, ast.Assert)
    plain = 0
    for node in scopes.nodes_of(tree):
        nodes = scopes.nodes_of(node)
        if isinstance(node, statements) and scopes.PLAIN_NODES.issuperset(map(type, nodes)):
            assert scopes._of_plain_nodes(nodes) == scopes._of_symbol_table(node, nodes)
            plain += 1
    assert plain > 50


@pytest.mark.parametrize(
    "source",
    [
        "import os, a.b.c as d, e as f",
        "from os import path as p, sep",
        "del x, y[z], a.b",
        "f'{x!r:{width}} {y}'",
        "a, *b[0], (c.d, e) = f(*g, **h), {i: j}, {k, *m}",
        "x[a:b, ::c] = d if e else not f < g <= h",
        "assert a and b or c, d",
        "raise a from b",
    ],
)
def test_names_of_each_plain_statement(source: str) -> None:
    """Each form of a plain statement has the names that the compiler finds."""
    (node,) = ast.parse(source).body
    nodes = scopes.nodes_of(node)
    assert scopes.PLAIN_NODES.issuperset(map(type, nodes))
    assert scopes._of_plain_nodes(nodes) == scopes._of_symbol_table(node, nodes)
