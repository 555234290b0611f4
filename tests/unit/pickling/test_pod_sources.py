"""Sources of the pod's libraries travel with an error, so that its traceback reads as the kernel's."""

from __future__ import annotations

import builtins
import json
import linecache
import re
import traceback
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podtask.pickling import pod_sources
from podtask.pickling.exceptions import BaseExceptionGroup_, rebuild
from podtask.runner import protocol
from podtask.runner.worker import frame_sources
from podtask.runner.worker.describe_error import describe, error_chain

from tests.notebook import Shell, strip_ansi

LIBRARY = "/usr/lib/python3/site-packages/library/deep.py"
SOURCE = """
class Reader:
    def read(self, rows, secret="unseen"):
        total = 0
        total = (
            sum(rows) /
            0
        )
        return total

def chained(rows):
    try:
        Reader().read(rows)
    except ZeroDivisionError as error:
        raise ValueError("chained") from error

def again(n):
    return again(n - 1) if n else 1 / 0
"""


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    before = dict(linecache.cache)
    yield
    linecache.cache.clear()
    linecache.cache.update(before)
    pod_sources._files.clear()


def in_pod(source: str, path: str = LIBRARY, name: str = "library.deep") -> dict[str, Any]:
    """Execute a library that only the pod has."""
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(source, path, "exec", dont_inherit=True), namespace)
    return namespace


def fails(call: Any, *args: Any) -> BaseException:
    """Return the error of a call."""
    try:
        call(*args)
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def travel(error: BaseException, own: dict[str, str] | None = None) -> tuple[BaseException, dict[str, Any]]:
    """Send an error from a pod whose libraries the notebook lacks; return it as rebuilt, and its description.

    Args:
        error: The error.
        own: Path -> source of the notebook's own files.
    """
    described = json.loads(json.dumps(describe(error_chain(error), protocol.STAGE_RUN)))
    for path, _ in described["sources"]:
        linecache.cache.pop(path, None)
    for path, source in (own or {}).items():
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    return rebuild(described["errors"], {}, described["sources"]), described


def shown(error: BaseException) -> list[tuple[str, int, str, str]]:
    """Return the frames of an error: file, line, function, source."""
    return [
        (each.filename, each.lineno or 0, each.name, each.line or "")
        for each in traceback.extract_tb(error.__traceback__)
        if each.filename != __file__
    ]


def test_lines_of_a_library_of_the_pod() -> None:
    """U18: a frame of a library that the notebook lacks is shown with its lines, under the pod's path."""
    error, described = travel(fails(in_pod(SOURCE)["Reader"]().read, [1]))
    assert shown(error) == [(f"pod:{LIBRARY}", 6, "read", "sum(rows) /")]
    own = [each for each in described["sources"] if each[0] == LIBRARY]
    assert own == [[LIBRARY, dict(zip("3456789", SOURCE.splitlines()[2:9], strict=True))]]
    assert LIBRARY not in linecache.cache  # a library that is installed there later has its own lines


def test_chains_and_groups() -> None:
    """Causes and members of groups have their lines, too."""
    namespace = in_pod(SOURCE)
    error, _ = travel(fails(namespace["chained"], [1]))
    assert [line for *_, line in shown(error)] == ['raise ValueError("chained") from error']
    assert error.__cause__ is not None
    assert [line for *_, line in shown(error.__cause__)] == ["Reader().read(rows)", "sum(rows) /"]
    if BaseExceptionGroup_:
        namespace = in_pod(SOURCE)
        members = [fails(namespace["chained"], [1]), fails(namespace["again"], 0)]
        found: Any = travel(vars(builtins)["ExceptionGroup"]("all", members))[0]
        assert shown(found.exceptions[1])[-1][2:] == ("again", "return again(n - 1) if n else 1 / 0")


@pytest.mark.parametrize("same", [True, False])
def test_the_notebook_s_own_file_is_kept(same: bool) -> None:
    """The notebook's file is used if it has the same lines; another version is shown beside it."""
    own = SOURCE if same else SOURCE.replace("total = 0", "total = None")
    error, _ = travel(fails(in_pod(SOURCE)["Reader"]().read, [1]), {LIBRARY: own})
    assert shown(error) == [(LIBRARY if same else f"pod:{LIBRARY}", 6, "read", "sum(rows) /")]
    assert "".join(linecache.getlines(LIBRARY)) == own


def test_two_versions_of_a_library() -> None:
    """The errors of two pods with other versions of a library are each shown with their lines."""
    travel(fails(in_pod(SOURCE)["Reader"]().read, [1]))
    error, _ = travel(fails(in_pod("\n" + SOURCE)["Reader"]().read, [1]))
    assert shown(error) == [(f"pod:{LIBRARY}", 7, "read", "sum(rows) /")]


def test_generated_code_and_zip_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated code keeps its name, and a module in a zip file has its lines."""
    made = in_pod("def __init__(self, x):\n    self.x = 1 / x\n", "<attrs generated init library.Row>", "")
    error, _ = travel(fails(made["__init__"], types.SimpleNamespace(), 0))
    assert shown(error) == [("<attrs generated init library.Row>", 2, "__init__", "self.x = 1 / x")]
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as file:
        file.writestr("zipped_deep.py", SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path / "some.zip"))
    error, _ = travel(fails(__import__("zipped_deep").again, 0))
    assert shown(error)[-1][2:] == ("again", "return again(n - 1) if n else 1 / 0")
    error, _ = travel(fails(exec, compile("1 / 0", "<made>", "exec"), {}))  # no source anywhere
    assert shown(error) == [("<made>", 1, "<module>", "")]


def test_deep_recursion_and_many_files_are_bounded() -> None:
    """A frame that recurs has its lines once; what is beyond the limit has none."""
    namespace = in_pod(SOURCE)
    error, described = travel(fails(namespace["again"], 500))
    assert [[*lines] for path, lines in described["sources"] if path == LIBRARY] == [["17", "18"]]
    assert all("again(n - 1)" in line for *_, line in shown(error)[1:])
    call: Any = lambda: 1 / 0  # noqa: E731
    for n in range(60):
        body = "".join(f"    x{m} = {'y' * 300!r}\n" for m in range(30))
        call = in_pod(f"def f(g):\n{body}    g()\n", f"/lib/many_{n}.py")["f"].__get__(call)
    _, described = travel(fails(call))
    assert len(json.dumps(described["sources"])) < frame_sources.MAX_SOURCE_CHARS + 10_000
    assert any(path.startswith("/lib/many_") for path, _ in described["sources"])


def test_long_lines() -> None:
    """A long line is cut, so that what is left is Python."""
    for source, left in (("x = '{}'; 1 / 0", "x = ..."), ("{} = 1 / 0", "y" * 393 + "...")):
        error, described = travel(fails(in_pod(f"def f():\n    {source.format('y' * 5000)}\n")["f"]))
        (lines,) = (lines for path, lines in described["sources"] if path == LIBRARY)
        assert lines["2"] == f"    {left}"
        assert shown(error)[-1][3] == left


LONG = '''import os
def long(
    rows,
    text=("a", "b"),
):
    text = """
text
    """
{filler}
    if rows:
        for row in rows:
            deeper = (
                row
            )
        with open(os.devnull):
            try:
                first = {{
                    "a": 1,
                    "b": 1 / row,
                }}
                second = 2
            except OSError:
                third = 3
    done = 4
{filler}
'''


def test_a_long_function(shell: Shell) -> None:
    """Of a long function, its head and the logical lines around the frame are sent, which IPython can show."""
    source = LONG.format(filler="    x = 1\n" * 100)
    error, described = travel(fails(in_pod(source)["long"], [0]))
    (lines,) = (lines for path, lines in described["sources"] if path == LIBRARY)
    assert [line.strip() for line in lines.values()] == [
        *("def long(", "rows,", 'text=("a", "b"),', "):"),
        *("x = 1", "x = 1", "if rows:", "for row in rows:", "with open(os.devnull):", "try:"),
        *("first = {", '"a": 1,', '"b": 1 / row,', "}", "second = 2"),
    ]
    assert shown(error)[-1][3] == '"b": 1 / row,'
    assert re.search(r"-+> \d+ +\"b\": 1 / row,", as_ipython_shows(error, shell))


def as_ipython_shows(error: BaseException, shell: Shell, mode: str = "Context") -> str:
    """Return the traceback of an error as IPython shows it."""
    style = shell.ip.InteractiveTB
    style.set_mode(mode)
    lines = style.structured_traceback(type(error), error, error.__traceback__, tb_offset=0)
    style.set_mode("Context")
    return strip_ansi("\n".join(lines))


@pytest.mark.parametrize(
    "source",
    [
        "def f(rows):\n" + "    x = 1\n" * 100 + "    return [1 / row for row in\n      rows]\n",
        "f = [0,\n  lambda rows: 1 / rows[0],\n][1]\n",
        "class A:\n    f = staticmethod(lambda rows: (\n        1 / rows[0]))\nf = A.f\n",
        "def f(rows):\n    text = '''\n" + "a'\n" * 100 + "    '''; return 1 / rows[0]\n",
        "def f(rows):\n" + "    if rows:\n        x = ('''\n''')\n" * 50 + "    return 1 / rows[0]\n",
        "import functools\n@functools.wraps(\n    len)\ndef f(rows):\n    return 1 / rows[0]\n",
        "async def g(rows):\n    return 1 / rows[0]\ndef f(rows):\n    return g(rows).send(None)\n",
    ],
)
def test_ipython_shows_every_excerpt(source: str, shell: Shell) -> None:
    """IPython tokenizes what it shows: no excerpt makes it fail, and the line itself is shown."""
    error, _ = travel(fails(in_pod(source)["f"], [0]))
    for mode in ("Plain", "Context", "Verbose"):
        text = as_ipython_shows(error, shell, mode)
        assert "ZeroDivisionError: division by zero" in text
        assert f"pod:{LIBRARY}" in text
        assert "1 /" in text


def test_an_excerpt_that_cannot_be_tokenized() -> None:
    """IPython would fail with an excerpt that this version of Python cannot tokenize: it is not used."""
    error = fails(in_pod("def f(rows):\n    1 / rows[0]\n")["f"], [0])
    described = json.loads(json.dumps(describe(error_chain(error), protocol.STAGE_RUN)))
    sources = [(LIBRARY, {"1": "def f(rows):", "2": "    '''"})]
    linecache.cache.pop(LIBRARY)
    error, _ = travel(fails(in_pod("def f(x):\n  return (1 /\n    x + " + "f(" * 150 + ")" * 151)["f"], 0))
    assert shown(error) == [(LIBRARY, 2, "f", "")]
    assert shown(rebuild(described["errors"], {}, sources)) == [(LIBRARY, 2, "f", "")]


def test_cells_and_values_are_not_sent() -> None:
    """The notebook has the sources of its cells; values are never part of an excerpt."""
    _, described = travel(fails(in_pod(SOURCE, name="__main__")["Reader"]().read, [1]))
    assert [each for each in described["sources"] if each[0] == LIBRARY] == []
    _, described = travel(fails(in_pod(SOURCE)["Reader"]().read, [1], "a password"))
    assert "a password" not in json.dumps(described)


def test_old_excerpts_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of files is bounded."""
    monkeypatch.setattr(pod_sources, "MAX_FILES", 3)
    for n in range(5):
        pod_sources.register([(f"/lib/dropped_{n}.py", {"1": "x = 1"})])
    assert [name for name in linecache.cache if "dropped" in name] == [
        f"pod:/lib/dropped_{n}.py" for n in (2, 3, 4)
    ]


def test_a_loader_that_fails_costs_the_lines_only() -> None:
    """Whatever a loader raises, the error itself arrives."""

    class Loader:
        def get_source(self, name: str) -> str:
            raise RuntimeError(name)

    namespace: dict[str, Any] = {"__name__": "library.deep", "__loader__": Loader()}
    exec(compile(SOURCE, LIBRARY, "exec", dont_inherit=True), namespace)
    error, described = travel(fails(namespace["again"], 0))
    assert described["sources"] == []
    linecache.cache.pop(LIBRARY)  # it would ask the loader again
    assert shown(error) == [(LIBRARY, 18, "again", "")]
