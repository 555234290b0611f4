"""Errors of a cell are raised with their type, chain and lines, without podtask's own frames."""

from __future__ import annotations

import pickle
import re
import sys
import traceback
from typing import Any

import podtask
import pytest
from podtask.pickling.exceptions import OWN_FOLDER, rebuild

from tests.notebook import Kernel, Shell

LOCAL = "%%podtask --local\n"
CHAIN = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('k') {}"


def raised(shell: Shell, source: str) -> BaseException:
    """Return the error that a cell raises in the notebook."""
    done = shell.ip.run_cell(LOCAL + source, store_history=True)
    error = done.error_in_exec
    assert isinstance(error, BaseException)
    return error


def lines_of(error: BaseException) -> list[int]:
    """Return the line number of each of the cell's frames, outermost first."""
    found, step = [], error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename.startswith("<ipython-input"):
            found.append(step.tb_lineno)
        step = step.tb_next
    return found


@pytest.mark.feature("N07")
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("from error", "direct cause of the following"),
        ("", "During handling of the above"),
        ("from None", ""),
    ],
)
def test_chain_is_that_of_the_cell(shell: Shell, how: str, says: str) -> None:
    """Cause and context come back as errors, each with its own line."""
    shown = shell.shown_error(LOCAL + CHAIN.format(how))
    assert ("division by zero" in shown) == bool(says)
    assert says in shown
    error = raised(shell, CHAIN.format(how))
    assert isinstance(error.__cause__, ZeroDivisionError) == (how == "from error")
    assert isinstance(error.__context__, ZeroDivisionError)
    assert error.__context__.__traceback__ is not None
    assert error.__context__.__traceback__.tb_lineno == 3
    assert error.__suppress_context__ == (how != "")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is newer")
def test_group_has_its_members_with_their_lines(shell: Shell) -> None:
    """An exception group is shown without podtask's frames, and its members keep their lines."""
    source = "def part():\n    raise ValueError('a')\ntry:\n    part()\nexcept ValueError as error:\n    one = error\nraise ExceptionGroup('several', [one, TypeError('b')])"
    shown = shell.shown_error(LOCAL + source)
    assert "podtask/magic.py" not in shown
    assert "interactiveshell.py" not in shown
    assert shown.index("several (2 sub-exceptions)") < shown.index("ValueError: a")
    error = raised(shell, source)
    first, second = error.exceptions  # type: ignore[attr-defined]
    assert (type(first), type(second)) == (ValueError, TypeError)
    assert lines_of(first) == [5, 3]


def test_syntax_error_of_an_exec_shows_its_text(shell: Shell) -> None:
    """A SyntaxError at run time points at the source text, without podtask's frames."""
    shown = shell.shown_error(LOCAL + "x = 1\nexec('a b')")
    assert "exec('a b')" in shown
    assert "SyntaxError: invalid syntax" in shown
    assert "podtask/magic.py" not in shown


def test_own_handler_of_the_shell_is_put_back(shell: Shell) -> None:
    """An error handler that the user has set is restored after such an error."""
    seen = []
    shell.ip.set_custom_exc((KeyError,), lambda *args, **more: seen.append(args[1]))
    shell.shown_error(LOCAL + "exec('a b')")
    shell.ip.run_cell("{}['missing']")
    assert seen == [KeyError]
    shell.ip.set_custom_exc((), None)


def test_class_of_the_notebook_is_caught_by_it(shell: Shell) -> None:
    """An error with its own constructor comes back as the notebook's class, with its attributes."""
    shell.run(
        "class Odd(Exception):\n    def __init__(self, code, *, hint):\n"
        "        super().__init__(f'odd {code}')\n        self.hint = hint\n"
    )
    error = raised(shell, "raise Odd(3, hint='look')")
    assert type(error) is shell["Odd"]
    assert (str(error), error.hint) == ("odd 3", "look")  # type: ignore[attr-defined]


def test_unknown_class_has_a_placeholder(shell: Shell) -> None:
    """If the class is unknown in the notebook, a placeholder class has its name, and a line explains it."""
    source = (
        "import sys, types\nmodule = types.ModuleType('far')\nsys.modules['far'] = module\n"
        "exec('class Away(Exception): pass', module.__dict__)\nraise module.Away('gone')"
    )
    shown = shell.shown_error(LOCAL + source)
    assert "Away: gone" in shown
    assert "replaces far.Away, which is not available in the notebook" in shown


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        ("import sys\nsys.exit(3)", SystemExit, "3"),
        ("def f(n):\n    return f(n + 1)\nf(0)", RecursionError, "maximum recursion depth"),
        ("raise StopIteration(7)", StopIteration, "7"),
        ("b'\\xff'.decode()", UnicodeDecodeError, "invalid start byte"),
        (
            "class A:\n    def __repr__(self):\n        raise LookupError('r')\nA()",
            LookupError,
            "r",
        ),
    ],
    ids=["exit", "recursion", "stop", "decode", "repr"],
)
def test_error_keeps_its_type(shell: Shell, source: str, kind: type[BaseException], says: str) -> None:
    """Every kind of error is raised in the notebook with the cell's line."""
    error = raised(shell, source)
    assert type(error) is kind
    assert says in str(error)
    assert lines_of(error)[1] > 1  # the first one belongs to the magic


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "import os\nprint('last words', flush=True)\nos._exit(3)",
            "exited with code 3",
        ),
        (
            "import os, signal\nprint('last words')\nos.kill(os.getpid(), signal.SIGSEGV)",
            "was killed by SIGSEGV",
        ),
    ],
)
def test_death_of_the_worker_is_named(shell: Shell, source: str, says: str) -> None:
    """A worker process that dies is reported, after its output."""
    shown = shell.shown_error(LOCAL + source)
    assert "last words" in shown
    assert f"process {says}" in shown


def test_closed_pipes_of_the_runner_are_named(shell: Shell) -> None:
    """A cell that closes the runner's file descriptors gets an error without a traceback."""
    shown = shell.shown_error(LOCAL + "import os\nos.closerange(3, 64)\nprint('lost')")
    assert "The cell closed file descriptors that it had not opened" in shown
    assert "Traceback" not in shown


def test_closed_descriptors_lose_nothing(shell: Shell) -> None:
    """A cell that closes its own streams can still print, and its value comes back."""
    out, _ = shell.output(LOCAL + "import os\nos.close(1)\nos.close(2)\nprint('still')\n5")
    assert "still" in out
    assert shell["_"] == 5


def test_error_keeps_its_text(shell: Shell) -> None:
    """If the text of an error would differ in the notebook, the text from the pod is used."""
    cell = (
        "class Pool:\n    def __str__(self): return 'pool-a'\n    def __reduce__(self): return str, ('',)\n"
        "class Refused(OSError):\n    def __init__(self, pool): super().__init__(pool)\n"
        "try:\n    raise RuntimeError(Pool())\nexcept RuntimeError as error:\n    raise Refused(Pool()) from error"
    )
    error = raised(shell, cell)
    cause = error.__cause__
    assert isinstance(error, OSError)
    assert isinstance(cause, RuntimeError)
    assert (type(error).__name__, str(error), error.args) == ("Refused", "pool-a", ("",))
    assert (type(cause).__name__, str(cause), cause.args) == ("RuntimeError", "pool-a", ("",))
    assert "RuntimeError: pool-a" in shell.shown_error(LOCAL + cell)
    assert type(pickle.loads(pickle.dumps(cause))) is RuntimeError


def test_error_with_the_same_text_is_the_original(shell: Shell) -> None:
    """If texts differ only in a memory address, the original class is used."""
    assert type(raised(shell, "raise RuntimeError(object())")) is RuntimeError
    assert type(raised(shell, "raise ValueError('x' * 100_000)")) is ValueError


@pytest.mark.parametrize(
    "cell",
    [
        "import __main__\ngetattr(__main__, 'hid' + 'den')",
        "print('{hidden}'.format(**globals()))",
        "name = 'hid' + 'den'\neval(name)",
    ],
)
def test_name_that_the_text_hides_is_hinted(shell: Shell, cell: str) -> None:
    """If a missing name exists in the notebook, a hint explains how to send it."""
    shell.run("hidden = 5")
    shown = shell.shown_error(LOCAL + cell)
    assert "The notebook has hidden, but it was not sent because the cell does not mention it" in shown
    assert "Send it with -i hidden." in shown


def test_name_left_out_is_hinted(shell: Shell) -> None:
    """A name that could not be sent and was never set is reported with the reason."""
    shell.run("import threading\nlock = threading.Lock()")
    shown = shell.shown_error(f"{LOCAL}for n in range(0):\n    lock = n\nlock")
    assert "The notebook's lock cannot be sent (TypeError: cannot pickle '_thread.lock'" in shown
    assert "had not set the name yet" in shown


def test_query_with_a_hidden_name_is_hinted(shell: Shell) -> None:
    """The error of pandas for an unknown variable gets the hint, too."""
    pytest.importorskip("pandas")
    shell.run("import pandas as pd\ndf, limit, text = pd.DataFrame({'a': [1]}), 1, 'a > @limit'")
    assert "Send it with -i df,text,limit." in shell.shown_error(f"{LOCAL}df.query(text)")


def test_shortened_messages_count_as_equal() -> None:
    """An error whose message was shortened in the pod is still the original error."""
    about: dict[str, Any] = {
        "frames": [],
        "members": [],
        "cause": None,
        "context": None,
        "suppress": False,
        "type": "ValueError",
        "module": "builtins",
        "notes": [],
    }
    for message in ("", "the real"):
        error = rebuild([{**about, "message": message}], {0: ValueError("the real message")})
        assert type(error) is ValueError
        assert str(error) == "the real message"


def test_requested_name_is_not_left_out(shell: Shell) -> None:
    """A name given with -i that cannot be sent is an error, even if the cell sets it."""
    shell.run("import threading\nlock = threading.Lock()")
    shown = shell.shown_error("%%podtask --local -i lock\nlock = 1\nlock")
    assert "lock (lock) cannot be sent" in shown


FAILING = """
import json, podtask
@podtask.task(local=True)
def parse(text):
    return json.loads(text)
def use():
    return {call}
"""


@pytest.mark.parametrize(
    "call",
    [
        "parse('{')",
        "parse.submit('{').result()",
        "parse.map(['{'])",
        "podtask.run(parse.__wrapped__, '{', options=podtask.RunOptions.of(local=True))",
    ],
)
def test_error_of_a_call_shows_no_frames_of_podtask(shell: Shell, call: str) -> None:
    """U18: the traceback has the user's frames and those of the library, with their lines, and nothing between them."""
    shell.run(FAILING.format(call=call))
    shown = shell.shown_error("use()")
    places = [shown.index(text) for text in (call, "return json.loads(text)", "raise JSONDecodeError(")]
    assert places == sorted(places)
    assert "podtask/" not in shown
    assert "interactiveshell.py" not in shown
    assert "in a process on this machine" in shown


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 restores the frames that a block has removed"
)
def test_error_that_is_raised_from_one_of_a_call_shows_no_frames_of_podtask(shell: Shell) -> None:
    """U18: IPython shows the frames of the cause by itself."""
    shell.run(FAILING.format(call="parse('{')"))
    shown = shell.shown_error(
        "try:\n    use()\nexcept ValueError as error:\n    raise KeyError('k') from error"
    )
    places = [
        shown.index(text)
        for text in ("return parse('{')", "JSONDecodeError: Expecting", "raise KeyError('k')")
    ]
    assert places == sorted(places)
    assert "podtask/" not in shown


LOCALLY = "options=podtask.RunOptions.of(local=True)"


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 restores the frames that a block has removed"
)
@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("parse('{')", ValueError),
        ("parse.map(['{'])", ValueError),
        ("parse.submit('{').result()", ValueError),
        ("parse.submit('{').assign()", ValueError),
        ("await parse.submit('{')", ValueError),
        (f"podtask.run('1 / 0', {LOCALLY})", ZeroDivisionError),
        (f"podtask.submit('a b', {LOCALLY})", SyntaxError),
        (f"podtask.submit(5, {LOCALLY})", podtask.InputError),
    ],
)
def test_error_leaves_a_call_without_frames_of_podtask(
    shell: Shell, call: str, kind: type[BaseException]
) -> None:
    """U18: what a script shows has the frames of the caller only, also for errors of podtask's own classes."""
    shell.run(FAILING.format(call="None"))
    with pytest.raises(kind) as caught:
        shell.run(call)
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert [file for file in files if file.startswith(OWN_FOLDER)] == []
    assert any("ipython-input" in file or "ipykernel" in file for file in files)


RAISING = """
import podtask
@podtask.task(local=True)
def raise_group():
    raise ExceptionGroup("several", [ValueError("member")])
@podtask.task(local=True)
def raise_syntax_error():
    exec("a b")
@podtask.task(local=True)
def raise_after_group():
    try:
        raise ExceptionGroup("several", [ValueError("member")])
    except ExceptionGroup:
        raise KeyError("k")
def use(call):
    return call()
"""
NOT_RENDERED = {
    # function, texts in their order
    "SyntaxError": ("raise_syntax_error", ['exec("a b")', "SyntaxError: invalid syntax"]),
    "group": ("raise_group", ["several (1 sub-exception)", "ValueError: member"]),
    "context": ("raise_after_group", ["several (1 sub-exception)", 'raise KeyError("k")', "KeyError: 'k'"]),
}


def assert_own_frames_only(shown: str, texts: list[str]) -> None:
    """Check that a shown error has these texts in order, the user's frames, and none of podtask or IPython."""
    places = [shown.index(text) for text in texts]
    assert places == sorted(places)
    assert "return call()" in shown
    assert "in a process on this machine" in shown
    assert [line for line in shown.splitlines() if "podtask/" in line or "interactiveshell" in line] == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is newer")
@pytest.mark.parametrize("how", ["use({})", "use({}.submit().result)"])
@pytest.mark.parametrize(("function", "texts"), NOT_RENDERED.values(), ids=NOT_RENDERED)
def test_error_that_ipython_formats_itself_shows_no_frames_of_podtask(
    shell: Shell, how: str, function: str, texts: list[str]
) -> None:
    """U1, U18: IPython has its own form for SyntaxErrors and groups; that of a call has the user's frames, too."""
    shell.run(RAISING)
    assert_own_frames_only(shell.shown_error(how.format(function)), texts)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is newer")
def test_error_that_ipython_formats_itself_in_a_notebook(kernel: Kernel) -> None:
    """U1, U18: in a notebook, it is the error of the cell, and nothing is on its stderr."""
    kernel.run(RAISING)
    for function, texts in NOT_RENDERED.values():
        ran = kernel.run(f"use({function})")
        assert ran.error is not None
        assert ran.stderr == ""
        assert_own_frames_only(ran.error[2], texts)
        again = kernel.run("%tb")  # IPython shows the message of a SyntaxError, and nothing of a group
        shown = again.stdout + again.stderr + (again.error[2] if again.error else "")
        assert "podtask/" not in shown
        assert "interactiveshell" not in shown


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup is newer")
@pytest.mark.parametrize("source", ["exec('a b')", "raise ExceptionGroup('several', [ValueError('member')])"])
def test_errors_of_the_notebook_stay_as_ipython_shows_them(shell: Shell, source: str) -> None:
    """After an error of a call, the notebook's own SyntaxErrors and groups are shown as before."""
    shell.run(RAISING)
    before = shell.shown_error(source)
    for function in ("raise_syntax_error", "raise_group"):
        shell.shown_error(f"use({function})")
    after = shell.shown_error(source)
    assert re.sub(r"input-\d+-|\[\d+\]", "", after) == re.sub(r"input-\d+-|\[\d+\]", "", before)


def test_error_of_a_task_can_be_sent_to_a_cell(shell: Shell) -> None:
    """U18: an error that a task has raised is sent like others; how the notebook shows it stays there."""
    shell.run(FAILING.format(call="parse('{')"))
    shell.run("error = parse.submit('{').exception()\nclass Own(Exception): pass")
    shell.run("own = podtask.submit('raise Own(3)', options=podtask.RunOptions.of(local=True)).exception()")
    out, _ = shell.output(
        "%%podtask --local\nprint(error.pos, own.args, [*vars(own)], hasattr(error, '_render_traceback_'))"
    )
    assert out == "1 (3,) ['__notes__'] False\n"
