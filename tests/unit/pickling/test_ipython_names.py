"""Names that belong to IPython are not sent, and all other names are."""

from __future__ import annotations

import builtins
import gzip

import pytest
from IPython.core.display_functions import display
from podtask.errors import InputError
from podtask.pickling.inputs import select
from podtask.pickling.ipython_names import is_ipython_name

from tests.notebook import Shell

OWN = ["In", "Out", "get_ipython", "exit", "quit", "open", "__name__", "__builtins__"]


def test_names_of_ipython_are_never_sent(shell: Shell) -> None:
    """The history, the shell, its functions and special names are not sent even if the cell reads them."""
    namespace = shell.ip.user_ns
    names = [name for name in OWN if name in namespace]
    assert {"In", "Out", "get_ipython", "exit", "open"} <= set(names)
    assert [name for name in names if not is_ipython_name(name, namespace)] == []
    assert is_ipython_name("display", {"display": display})
    assert is_ipython_name("open", {"open": builtins.open})


def test_users_variable_with_such_a_name_is_sent() -> None:
    """A user's own variable with such a name is sent: the value decides, not the name."""
    mine = {
        "open": gzip.open,
        "display": lambda x: x,
        "exit": 5,
        "In": [1],
        "__secret": 3,
        "__version__": "1",
    }
    assert [name for name in mine if is_ipython_name(name, mine)] == []


@pytest.mark.parametrize("name", ["In", "Out"])
def test_g1_history_is_refused_before_anything_is_sent(shell: Shell, name: str) -> None:
    """G1: a cell that reads the history of the notebook gets an error with the remedy."""
    with pytest.raises(InputError, match=f"The cell reads {name}") as caught:
        select([name], None, shell.ip.user_ns)
    assert "answer = Out[3]" in caught.value.hint
    assert select([name], None, {name: {1: 2}}) == {name: {1: 2}}  # a variable of the user
