"""The cells of the notebook are followed: which names they bind, in which order."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from podtask.sessions.bindings import BindingLog

from tests.notebook import Shell


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Shell with the extension."""
    shell = Shell()
    yield shell
    shell.close()


@pytest.fixture
def log(shell: Shell) -> Iterator[BindingLog]:
    """Log of the shell's cells."""
    log = BindingLog(shell.ip)
    log.install()
    yield log
    log.remove()


def test_order_of_bindings(shell: Shell, log: BindingLog) -> None:
    """A name that is bound again to the same object has the place of the later cell."""
    shell.run("x = 0\ny = 1")
    session = log.next_order()
    shell.run("x = 0")
    assert log.last_bound("y") < session < log.last_bound("x")
    assert log.last_bound("z") == 0


def test_cell_that_fails(shell: Shell, log: BindingLog) -> None:
    """What a cell has bound before its error counts."""
    shell.run("x = y = 0")
    before = log.order
    shell.shown_error("x = 0\n1 / 0\ny = 0")
    assert log.last_bound("x") > before >= log.last_bound("y")


def test_cell_that_does_not_compile(shell: Shell, log: BindingLog) -> None:
    """A cell that does not compile has no place, and the next cell is followed."""
    shell.shown_error("x = = 0")
    shell.run("x = 0")
    assert log.last_bound("x") == log.order == 1


@pytest.mark.parametrize("magic", ["%%time", "%%capture"])
def test_cell_magics(shell: Shell, log: BindingLog, magic: str) -> None:
    """A cell magic that executes its cell in the notebook binds the cell's names."""
    shell.run("x = 0")
    before = log.order
    shell.run(f"{magic}\nx = 0")
    assert log.last_bound("x") > before


def test_cell_in_a_cell(shell: Shell, log: BindingLog) -> None:
    """A cell that runs another one binds its own names, those before and those after it."""
    shell.run("x = y = z = 0")
    before = log.order
    shell.run("x = 0\nget_ipython().run_cell('y = 0')\nz = 0")
    assert min(map(log.last_bound, "xyz")) > before


def test_asks_within_a_cell(shell: Shell, log: BindingLog) -> None:
    """What a cell has bound so far is known while it runs."""
    shell["log"] = log
    shell.run("x = 1\nfound = log.last_bound('x')")
    assert shell["found"] == 1


def test_own_magic_is_no_cell_of_the_notebook(shell: Shell, log: BindingLog) -> None:
    """A cell that only calls podtask has changed nothing in the notebook."""
    shell.run("x = 0")
    shell.run("%podtask help")
    assert log.plain_order == 1
    shell.run("x")
    assert log.plain_order == 2


def test_removed(shell: Shell, log: BindingLog) -> None:
    """Once removed, the log leaves nothing in the shell."""
    registered = {event: [*callbacks] for event, callbacks in shell.ip.events.callbacks.items()}
    other = BindingLog(shell.ip)
    other.install()
    other.remove()
    assert shell.ip.ast_transformers == [log]
    assert shell.ip.events.callbacks == registered


def test_broken_log_breaks_no_cell(shell: Shell, log: BindingLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell runs without a warning although its names cannot be noted."""

    def fail(*_: Any) -> None:
        raise ValueError

    monkeypatch.setattr("podtask.sessions.bindings.BindingStatements", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shell.run("x = 5")
    assert shell["x"] == 5
    assert log in shell.ip.ast_transformers


def test_threads_of_the_notebook(shell: Shell, log: BindingLog) -> None:
    """A thread that a cell has started is known while it runs."""
    assert not log.has_other_threads()
    shell["gate"] = threading.Event()
    shell.run("import threading\nthread = threading.Thread(target=gate.wait)\nthread.start()")
    assert log.has_other_threads()
    shell.run("gate.set()\nthread.join()")
    assert not log.has_other_threads()
