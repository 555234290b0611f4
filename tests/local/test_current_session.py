"""The notebook moves into a session: which cells run there, what shows it, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import podtask
import pytest
from IPython.core.completer import provisionalcompleter
from podtask.magics.current_session import run_here, runs_in_session
from podtask.sessions import registry

from tests.notebook import Kernel, Shell, strip_ansi

pytestmark = pytest.mark.feature("N17")
IN_SESSION = [
    "x = 1",
    "%%time\nx",
    "!ls",
    "%pip install x",
    "%time f()",
    "%timeit f()",
    "%%bash\nls",
    "%%capture out\nprint(1)",
    "y = %sql select 1",
    "%own_magic\nx = 1",
    "exit()\nx",
    "'''\n%podtask list\n'''",
]
IN_NOTEBOOK = [
    "%podtask list",
    "\n  \n%podtask out",
    "%%podtask -o x\nx = 1",
    "%%here\nx = 1",
    "%load_ext autoreload\n%autoreload 2",
    "%config InlineBackend.figure_format = 'svg'",
    "%own_magic x\n# a comment\n%own_magic y",
    "%%own_magic\nselect 1",
    "%unknown_magic",
    "%%html\n<b>x</b>",
    "%%timeit?",
    "x?",
    "??x.y",
    "%time?",
    "exit",
    "# a comment",
    "",
]


@pytest.fixture(autouse=True)
def ended_sessions() -> Iterator[None]:
    """End the sessions of the test's process, and forget them."""
    yield
    for session in registry.open_sessions():
        session.end()
    registry._sessions.clear()


def offered(shell: Shell, source: str) -> list[str]:
    """Return what Tab offers at the end of a source."""
    with provisionalcompleter():
        return [each.text for each in shell.ip.Completer.completions(source, len(source))]


@pytest.mark.parametrize("source", IN_SESSION + IN_NOTEBOOK)
def test_place_of_a_cell(shell: Shell, source: str) -> None:
    """Python, shell lines and IPython's magics for a place run in the session; what concerns the notebook stays."""
    for kind in ("line", "cell"):
        shell.ip.register_magic_function(lambda *_: None, kind, "own_magic")
    assert runs_in_session(source.splitlines(keepends=True), shell.ip) == (source in IN_SESSION)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("%%here\nx = 1\n", "# %%here\nx = 1\n"),
        ("\n%%here \n%%time\nx\n", "%%time\nx\n"),
        ("%%here\n", "# %%here\n"),
        ("x = '''\n%%here\n'''\n", "x = '''\n%%here\n'''\n"),
        ("%%heres\nx\n", "%%heres\nx\n"),
    ],
)
def test_here_makes_a_plain_cell(source: str, plain: str) -> None:
    """``%%here`` becomes a comment, so that the numbers of the lines stay."""
    assert "".join(run_here(source.splitlines(keepends=True))) == plain


def test_cells_run_in_the_session_until_out(shell: Shell) -> None:
    """Variables, _, Out and counts are those of a user's plain cells; %%here and %podtask out run in the notebook."""
    shell.run("import os\nhere = os.getpid()\nrate = 3")
    out, _ = shell.output("%podtask in s --local")
    assert out == (
        "Cells run in session s from now on. %%here runs one in the notebook, %podtask out ends it.\n"
    )
    assert shell.run("x = rate + 1\nimport os\nx, os.getpid() == here") == (4, False)
    assert shell.run("_") == (4, False)
    assert shell.run("x;") is None
    count = shell.ip.execution_count
    assert shell.run("[x]") == [4]
    assert shell["Out"][count] == [4]
    assert shell.run("%%here\nos.getpid() == here, 'x' in globals()") == (True, False)
    assert shell.run("%%here\n%%time\nback = 5") is None
    assert shell["back"] == 5
    assert shell.run("back + x") == 9
    assert shell.output("%podtask out")[0] == ("Cells run in the notebook from now on. Session s stays.\n")
    assert shell.run("os.getpid() == here, 'x' in globals()") == (True, False)
    assert shell.run("%%podtask --local --session s\nx") == 4


def test_options_of_in_are_those_of_each_cell(shell: Shell) -> None:
    """-o brings values back after each cell; a cell that names the session may add its own."""
    shell.run("%podtask in s --local -o auto --env A='b c'")
    shell.run("import os\nx = os.environ['A']")
    assert shell["x"] == "b c"
    shell.run("%%podtask --session s -o z\ny, z = 1, 2")
    assert "y" not in shell.ip.user_ns
    assert shell["z"] == 2


def test_error_has_the_lines_of_the_cell(shell: Shell) -> None:
    """The traceback counts the lines as the user sees them, and the notebook stays in the session."""
    shell.run("%podtask in s --local")
    shown = shell.shown_error("\nx = 1\n\nx / 0")
    assert "ZeroDivisionError: division by zero" in shown
    assert "----> 4 x / 0" in shown
    assert "run_cell_magic" not in shown
    assert shell.run("x") == 1
    shown = shell.shown_error("%%bash\nls")
    assert "uses %%bash, which does not run in a pod" in shown


def test_code_that_runs_cells_itself_stays_where_it_is(shell: Shell) -> None:
    """A magic of an extension that runs code in the shell runs it in the notebook."""
    shell.ip.register_magic_function(lambda line, cell: shell.ip.run_cell(cell), "cell", "twice")
    shell.run("%podtask in s --local")
    shell.run("%%twice\nimport os\ninner = os.getpid()")
    assert shell["inner"] == os.getpid()


def test_extension_that_is_loaded_again_leaves_the_session(shell: Shell) -> None:
    """Nothing of the transformer stays behind, and cells run in the notebook."""
    before = list(shell.ip.input_transformers_cleanup)
    shell.run("%podtask in s --local")
    shell.run("%load_ext podtask")
    assert shell.run("import os\nos.getpid()") != os.getpid()
    shell.run("%reload_ext podtask")
    assert len(shell.ip.input_transformers_cleanup) == len(before)
    assert shell.run("import os\nos.getpid()") == os.getpid()
    shell.run("%podtask in s --local")
    assert shell.run("os.getpid()") != os.getpid()
    shell.run("%unload_ext podtask")
    assert shell.run("os.getpid()") == os.getpid()
    callbacks = shell.ip.events.callbacks
    assert not [each for each in callbacks["pre_run_cell"] if "podtask" in str(each)]
    shell.run("%load_ext podtask")


def test_end_of_the_session_leaves_it(shell: Shell) -> None:
    """``%podtask end`` also takes the notebook out; ``out`` without a session says what to do."""
    shell.run("%podtask in s --local")
    shell.run("x = 1")
    assert shell.output("%podtask end s")[0] == ("Ended: session s\nCells run in the notebook from now on.\n")
    assert shell.run("'x' in globals()") is False
    assert "%podtask out: the notebook is not in a session." in shell.shown_error("%podtask out")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("in", "%podtask in NAME [OPTIONS]"),
        ("in s --session t", "%podtask in does not take --session."),
        ("in s -d", "%podtask in does not take --detach."),
        ("in s --memroy 1Gi", "unknown option '--memroy'. Did you mean '--memory'?"),
        ("in s --retries 2", "A session does not take --retries."),
    ],
)
def test_wrong_line_of_in(shell: Shell, line: str, said: str) -> None:
    """The notebook stays where it is."""
    assert said in shell.shown_error(f"%podtask {line}")
    assert shell.run("import os\nos.getpid()") == os.getpid()


def test_marks_and_requests_of_a_page(kernel: Kernel) -> None:
    """Each output says where it ran, in front of it; code that a page executes silently stays in the notebook."""
    kernel.run("import os\nhere = os.getpid()")
    kernel.run("%podtask in s --local")
    quiet = kernel.run("x = 1")
    assert "[session s]" in quiet.lines  # with the status line of the start
    again = kernel.run("x += 1")
    assert again.lines == []
    shown = kernel.run("print('out')\nx")
    assert shown.lines == ["[session s]"]
    assert shown.displays[0]["text/html"].startswith("<div style=")
    assert (shown.stdout, shown.result) == ("out\n", {"text/plain": "2"})
    assert kernel.run("%%here\nos.getpid() == here").lines == ["[notebook]"]
    cleared = kernel.run("from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)")
    assert cleared.lines.count("[session s]") == 2
    error = kernel.run("1 / 0")
    assert error.lines[0] == "[session s]"
    assert error.error is not None
    kernel.execute_silently("from_page = os.getpid()")
    assert kernel.run("%%here\nfrom_page == here").result == {"text/plain": "True"}
    kernel.run("%podtask out")
    assert kernel.run("x = 7\nx").lines == []
    kernel.run("%podtask end s")


def test_tab_offers_the_sessions(shell: Shell) -> None:
    """After a command that takes the name of a session; after ``in NAME``, the flags of a cell."""
    shell.run("%podtask in gpu --local")
    assert offered(shell, "%podtask extend g") == ["gpu"]
    assert "--memory" in offered(shell, "%podtask in gpu --mem")


def test_completions_come_from_the_session_and_the_notebook(shell: Shell) -> None:
    """Names of both; attributes of the session's value, which hides one of the same name in the notebook."""
    shell["both"] = "text"
    shell["number_here"] = 1
    shell.run("%podtask in s --local")
    assert offered(shell, "both.upp") == ["upper"]  # not begun: the notebook alone
    shell.run("both = []\nnumber_there = 2\nclass Model:\n    rate = _hidden = both\nmodel = Model()")
    assert {"number_here", "number_there"} <= set(offered(shell, "number_"))
    assert offered(shell, "both.app") == ["append"]
    assert offered(shell, "x = [model.rate.ins") == ["insert"]
    assert offered(shell, "model.") == ["rate"]
    assert "_hidden" in offered(shell, "model._hid")
    assert offered(shell, "%%here\nboth.upp") == ["upper"]
    assert "load_ext" in "".join(offered(shell, "%load_e"))
    shell.run("%podtask out")
    assert offered(shell, "both.app") == []


def test_question_that_takes_long_is_given_up(shell: Shell) -> None:
    """Tab returns after 0.3 s, the question is interrupted, and a busy session is not asked; variables stay."""
    shell.run("%podtask in s --local")
    shell.run(
        "import threading\nclass Slow:\n    def __dir__(self):\n        asked.append(1)\n        threading.Event().wait()\n"
        "class Wrong:\n    def __dir__(self):\n        raise SystemExit\n"
        "asked, slow, wrong = [], Slow(), Wrong()"
    )
    start = time.monotonic()
    assert offered(shell, "slow.x") == []
    assert time.monotonic() - start < 2
    assert shell.run("asked") == [1]
    assert offered(shell, "wrong.x") == []
    session = podtask.session("s", local=True)
    running = session.submit("threading.Event().wait(60)")
    assert offered(shell, "asked.app") == []
    running.cancel()


def test_help_of_a_variable(shell: Shell) -> None:
    """``x?`` shows what the session has; a name that only the notebook has is its own."""
    shell.run("def here():\n    'In the notebook.'")
    shell.run("%podtask in s --local")
    shell.run("def there(a, *, b=2):\n    'In the session.'\n    return a\nvalues = [1, 2, 3]")
    shown = strip_ansi(shell.output("there?")[0])
    assert "Signature: there(a, *, b=2)" in shown
    assert "Docstring: In the session." in shown
    assert "return a" in strip_ansi(shell.output("there??")[0])
    shown = strip_ansi(shell.output("?values")[0])
    assert "Type:        list" in shown
    assert "Length:      3" in shown
    assert "In the notebook." in strip_ansi(shell.output("here?")[0])
    assert "`nowhere` not found" in strip_ansi(shell.output("nowhere?")[0])
    assert "append" in strip_ansi(shell.output("values.append?")[0])


def test_tab_in_a_kernel(kernel: Kernel) -> None:
    """As the notebook page asks."""
    kernel.run("%podtask in s --local")
    kernel.run("class Model:\n    learning_rate = 1\nmodel = Model()")
    assert kernel.complete("model.lear", 10)["matches"] == ["learning_rate"]
    assert kernel.run("model.learning_rate").result == {"text/plain": "1"}
    kernel.run("%podtask end s")


def test_stop_interrupts_the_cell_and_the_notebook_stays_in(kernel: Kernel) -> None:
    """The stop button: KeyboardInterrupt in the cell, variables stay."""
    kernel.run("%podtask in s --local")
    kernel.run("import time\nx = 5")
    kernel.start("print('begun', flush=True)\ntime.sleep(100)")
    kernel.until("begun")
    kernel.interrupt()
    stopped = kernel.finish()
    assert stopped.error is not None
    assert stopped.error[0] == "KeyboardInterrupt"
    assert kernel.run("x").result == {"text/plain": "5"}
    kernel.run("%podtask end s")


CELLS = [
    "%load_ext podtask",
    "%podtask in s --local",
    "rate = 1",
    "import os\nx = rate * 2\nx",
    "%%here\n'x' in globals()",
    "def double(y):\n    return 2 * y\n\ndouble(x)",
    "%podtask out",
    "'x' in globals()",
    "%podtask end s",
]
RESULTS = ["2", "False", "4", "False"]


def notebook_of(folder: Path) -> Path:
    """Write the notebook; the cell ``rate = 1`` holds its parameters."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    notebook.cells[2].metadata["tags"] = ["parameters"]
    path = folder / "moves.ipynb"
    nbformat.write(notebook, path)
    return path


def results_of(path: Path) -> list[str]:
    """Return the values of the last expressions in an executed notebook."""
    cells = json.loads(path.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [
        "".join(each["data"]["text/plain"]) for each in outputs if each["output_type"] == "execute_result"
    ]


def test_nbconvert(tmp_path: Path) -> None:
    """Run-all without a browser: the cells of the session and those of the notebook."""
    notebook = notebook_of(tmp_path)
    command = ["-m", "nbconvert", "--to", "notebook", "--execute", str(notebook), "--output", "ran.ipynb"]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    assert results_of(tmp_path / "ran.ipynb") == RESULTS


def test_papermill(tmp_path: Path) -> None:
    """The cell of parameters that papermill adds runs in the session, too."""
    notebook = notebook_of(tmp_path)
    command = ["-m", "papermill", str(notebook), str(tmp_path / "ran.ipynb"), "-p", "rate", "4"]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    assert results_of(tmp_path / "ran.ipynb") == ["8", "False", "16", "False"]


def test_run_all_twice(kernel: Kernel) -> None:
    """The same cells again, also without ``out`` at the end of the first time."""
    cells = ["rate = 1", "%podtask in s --local", "x = rate + 1", "rate += 1", "(x, rate)"]
    for _ in range(2):
        for cell in cells:
            ran = kernel.run(cell)
            assert ran.error is None, cell
        assert ran.result == {"text/plain": "(2, 2)"}
        assert ran.lines == ["[session s]"]
    kernel.run("%podtask end s")
