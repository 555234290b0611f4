"""``--results plain`` from the cell to the notebook."""

from __future__ import annotations

import pytest
from podtask.errors import TaskError
from podtask.pickling.exceptions import RemoteError

from tests.notebook import Shell

pytestmark = [pytest.mark.fault(90), pytest.mark.feature("N27")]


def test_values_and_last_expression_arrive(shell: Shell) -> None:
    """Values, arrays and the last expression come back; what has no plain form is named."""
    shell.run(
        "%%podtask --local --results plain -o numbers,array\n"
        "import numpy\nnumbers = [1, 2]\narray = numpy.arange(3)\n{'a': numbers}"
    )
    assert shell["numbers"] == [1, 2]
    assert shell["array"].tolist() == [0, 1, 2]
    assert shell["_"] == {"a": [1, 2]}


def test_error_of_the_cell_is_text(shell: Shell) -> None:
    """The error has the name of the cell's error, and another class."""
    shell.run("class MyError(Exception): pass")
    with pytest.raises(RemoteError) as caught:
        shell.run("%%podtask --local --results plain\nraise MyError('text')")
    assert (type(caught.value).__name__, str(caught.value)) == ("MyError", "text")
    assert not isinstance(caught.value, shell["MyError"])


def test_value_without_a_plain_form_is_an_error(shell: Shell) -> None:
    """U17: a name of -o that cannot be brought back is an error, as with pickles; others are assigned."""
    with pytest.raises(TaskError, match=r"-o two \(set\) was not returned"):
        shell.run("%%podtask --local --results plain -o one,two\none = 1\ntwo = {2}")
    assert shell["one"] == 1


def test_display_of_html_is_text(shell: Shell) -> None:
    """A display shows its text only."""
    out, _ = shell.output(
        "%%podtask --local --results plain\n"
        "display({'text/plain': 'shown', 'text/html': '<b>hidden</b>'}, raw=True)"
    )
    assert "hidden" not in out


@pytest.mark.fault(101)
def test_display_in_several_parts_is_shown(shell: Shell) -> None:
    """A display that is larger than a frame is put together before it is filtered."""
    out, _ = shell.output(
        "%%podtask --local --results plain\n"
        "display({'text/plain': 'x' * 700_000, 'text/html': '<b>hidden</b>'}, raw=True)"
    )
    assert out.count("x") >= 700_000
    assert "hidden" not in out
