"""IPython's own syntax in a cell, on the local backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local.wheel import NAME, SERVE, wheel
from tests.notebook import Kernel, Shell

pytestmark = pytest.mark.usefixtures("local_backend")


@pytest.mark.feature("P07")
def test_command_writes_under_the_cell_and_leaves_its_status(shell: Shell) -> None:
    """!cmd prints in order with print(), and sets _exit_code."""
    source = "print('a')\n!echo b; echo c >&2; exit 3\nprint(_exit_code)"
    out, err = shell.output("%%podtask\n" + source)
    assert out == "a\nb\nc\n3\n"
    assert "not brought back" not in err


@pytest.mark.feature("P07")
def test_commands_output_as_lines(shell: Shell) -> None:
    """An assigned command is IPython's list of lines, in the pod and in the notebook."""
    out, _ = shell.output(
        "%%podtask -o x\nx = !echo one; echo two three\nprint(x.n == 'one\\ntwo three', x.s, x.l[0], x.grep('W'))"
    )
    assert out == "True one two three one ['two three']\n"
    assert type(shell["x"]).__module__ == "IPython.utils.text"
    assert shell["x"].s == "one two three"
    assert list(shell.run("%%podtask\n!!echo again")) == ["again"]
    out, _ = shell.output("%%podtask\nprint(type(x).__name__, x.s)")
    assert out == "SList one two three\n"


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("!echo {word} $word {number + 1} {items[1:]}", "w w 3 [2]\n"),
        ("!echo '$word' $$HOME_OF_NOTHING.", "$word .\n"),
        ("!echo a | awk '{print $1 \"!\"}'", "a!\n"),
        ("x = !echo {word}\nprint(x)", "['w']\n"),
        ("%env NEW={word}\n!echo $$NEW", "env: NEW=w\nw\n"),
        ("def f(own):\n    !echo {own} {word}\nf(5)", "5 w\n"),
        ("print('a'); !echo b", None),
    ],
)
def test_variables_are_put_into_commands(shell: Shell, line: str, printed: str | None) -> None:
    """{expression} and $name become values of the notebook or of the cell, as IPython does it."""
    shell.run("word = 'w'\nnumber = 2\nitems = [1, 2]")
    if printed is None:
        assert "SyntaxError" in shell.shown_error("%%podtask\n" + line)
        return
    assert shell.output(line)[0].replace("\r\n", "\n") in (printed, "")  # the behavior of IPython itself
    assert shell.output("%%podtask\n" + line)[0] == printed


def test_environment_and_directory(shell: Shell, tmp_path: Path) -> None:
    """%env sets, gets and lists variables; %cd and %pwd use the directory of the pod."""
    here = Path.cwd()
    out, _ = shell.output(
        f"%%podtask -o got,all_of_it,where\n%env WORD=x\ngot = %env WORD\nall_of_it = %env\n"
        f"%env MY_TOKEN=abc\n%cd {tmp_path}\nwhere = %pwd\n%cd -q /\n%cd -"
    )
    assert out == f"env: WORD=x\nenv: MY_TOKEN=abc\n{tmp_path}\n{tmp_path}\n"
    assert (shell["got"], shell["all_of_it"]["WORD"]) == ("x", "x")
    assert shell["where"] == str(tmp_path)
    assert Path.cwd() == here


def test_pip_is_the_one_of_the_pods_python(shell: Shell) -> None:
    """%pip runs the pip of the Python that executes the cell, and shows its output."""
    out, _ = shell.output("%%podtask\nimport sys\n%pip --version\nprint(sys.prefix, _exit_code)")
    prefix, code = out.splitlines()[-1].split()
    assert out.startswith("pip ")
    assert prefix in out.splitlines()[0]
    assert code == "0"


def test_pip_installs_a_package_for_the_next_line(shell: Shell, tmp_path: Path) -> None:
    """%pip install uses an index, and the next line can import the package."""
    shell["wheel"], shell["target"] = wheel(), str(tmp_path / "installed")
    out, _ = shell.output(
        f"%%podtask\n{SERVE}import os, sys\nos.environ.update(NO_PROXY='*', PIP_CONFIG_FILE=os.devnull)\n"
        "os.environ['PIP_ROOT_USER_ACTION'] = 'ignore'  # its warning would colour the next line\n"
        f"%pip install --quiet --no-deps --index-url {{index}} --target {{target}} {NAME}\n"
        f"sys.path.insert(0, target)\nimport {NAME}\nprint({NAME}.answer, _exit_code)"
    )
    assert out.splitlines()[-1] == "42 0"


def test_interrupt_ends_a_command(kernel: Kernel) -> None:
    """The stop button ends the command of !cmd and the cell."""
    kernel.start("%%podtask --local\n!echo up; exec sleep 60\nprint('not this')")
    kernel.until("up\n")
    kernel.interrupt()
    ran = kernel.finish(20)
    assert ran.error is not None
    assert ran.error[0] == "KeyboardInterrupt"
    assert "not this" not in ran.stdout


def test_times(shell: Shell) -> None:
    """%time prints the duration of a statement and returns its value; %%time does this for the cell."""
    shell.run("start = 5")
    out, _ = shell.output("%%podtask -o a,b\n%time a = start + 1\nb = %time a * 2")
    assert out.count("CPU times: user ") == out.count("Wall time: ") == 2
    assert (shell["a"], shell["b"]) == (6, 12)
    out, _ = shell.output("%%podtask -o c\n%%time\nc = start\nprint('in')\nc")
    assert out.startswith("in\nCPU times: ")
    assert "Out[" in out
    assert shell["c"] == 5
    with pytest.raises(ZeroDivisionError):
        shell.run("%%podtask\n%%time\n1 / 0")
    assert "----> 4 1 / 0" in shell.shown_error("%%podtask\n%%time\n\n1 / 0")


@pytest.mark.parametrize(
    ("cell", "says", "do"),
    [
        ("x = 1\n%timeit x", "Line 3 of the cell uses %timeit", "%time"),
        ("\n\n%load_ext autoreload", "Line 4 of the cell uses %load_ext", "another cell"),
        ("%%bash\nls", "Line 2 of the cell uses %%bash", "!"),
        ("print?", "Line 2 of the cell uses print?", "another cell"),
        ("%pwdd", "Did you mean 'pwd'?", "%cd, %env"),
        ("x\n%%time\ny", "Line 3 of the cell uses %%time", "on a line of its own"),
        ("%%time x\ny", "Line 2 of the cell uses %%time", "on a line of its own"),
        ("get_ipython().run_line_magic('who', '')", "uses %who", "%cd"),
    ],
)
def test_other_magics_are_refused_before_anything_is_submitted(
    shell: Shell, cell: str, says: str, do: str
) -> None:
    """A magic that has no meaning in the pod is rejected with its line and a hint."""
    shown = shell.shown_error("%%podtask\n" + cell)
    assert says in shown
    assert do in shown
    assert "podtask-" not in shown
    assert "Traceback" not in shown


def test_matplotlib_magic_is_ignored(shell: Shell) -> None:
    """%matplotlib inline is accepted, and imports nothing."""
    out, _ = shell.output("%%podtask\n%matplotlib inline\nimport sys\nprint('matplotlib' in sys.modules)")
    assert out == "False\n"


def test_missing_attribute_of_the_shell_is_explained(shell: Shell) -> None:
    """A missing attribute of the IPython shell is an AttributeError that explains what is available."""
    with pytest.raises(AttributeError, match=r"get_ipython\(\).kernel is not available in a pod"):
        shell.run("%%podtask\nget_ipython().kernel")
    with pytest.raises(OSError, match="Background processes"):
        shell.run("%%podtask\n!sleep 60 &")


def test_function_of_the_notebook_may_use_commands(shell: Shell) -> None:
    """A function with !cmd can be sent, and uses the shell of the pod."""
    shell.run("def f(x):\n    out = !echo {x} 1\n    return out")
    shell.output("%%podtask -o got\ngot = f('a')")
    assert list(shell["got"]) == ["a 1"]
