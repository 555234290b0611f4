"""What a request in the background raises is shown in the form, never as the traceback of a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from podtask.errors import ClusterError
from podtask.manage import names
from podtask_widgets import name_suggestions, server_check
from podtask_widgets.background import run_in_background
from podtask_widgets.server_check import ServerAnswer

from tests.widgets.user import User


class Combobox:
    comm: object = True
    options: tuple[str, ...] = ()


def suggest(monkeypatch: pytest.MonkeyPatch, read: Callable[..., list[str]]) -> tuple[Combobox, list[str]]:
    """Suggest names that a function reads; return the combobox and what was shown, after the thread has ended."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    monkeypatch.setattr(names, "read_names", read)
    combobox, shown = Combobox(), list[str]()
    before = set(threading.enumerate())
    name_suggestions.suggest_names("runtime class", combobox, shown.append)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    return combobox, shown


@pytest.mark.pod("P20")
def test_unexpected_error_of_suggestions_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody expects is a sentence of the form, and the thread ends without a traceback."""
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    def fail(kind: str, options: object) -> list[str]:
        raise TypeError("'NoneType' object is not iterable")

    _, shown = suggest(monkeypatch, fail)
    assert shown == [
        "The names of each runtime class cannot be suggested: unexpected TypeError: 'NoneType' object is not iterable"
    ]
    assert raised == []


@pytest.mark.pod("P20")
def test_missing_names_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without objects, or without a cluster, there are no suggestions and no message."""

    def unreachable(kind: str, options: object) -> list[str]:
        raise ClusterError("Cannot reach the API server.")

    def empty(kind: str, options: object) -> list[str]:
        return []

    for read in (empty, unreachable):
        combobox, shown = suggest(monkeypatch, read)
        assert (combobox.options, shown) == ((), [])
    combobox, shown = suggest(monkeypatch, lambda kind, options: ["gvisor"])
    assert (combobox.options, shown) == (("gvisor",), [])


@pytest.mark.pod("P20")
def test_form_shows_the_error_in_its_own_line(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of the form shows the error of its suggestions below the header."""
    monkeypatch.setattr(
        "podtask_widgets.page.suggest_names",
        lambda kind, combobox, show_error, is_current: show_error(f"no {kind}"),
    )
    user.open("Scheduling")
    assert "no runtime class" in user.html("pt-said")


@pytest.mark.pod("P20")
@pytest.mark.parametrize("fails", ["request", "callback"])
def test_unexpected_error_of_a_request_is_reported(fails: str) -> None:
    """An error of a request, or of what shows its answer, reaches the function that shows errors."""
    done = threading.Event()
    shown: list[str] = []

    async def request() -> int:
        return 1 // (fails != "request")

    def show(answer: int) -> None:
        raise KeyError("metadata")

    def show_error(text: str) -> None:
        shown.append(text)
        done.set()

    run_in_background(request(), show, show_error)
    assert done.wait(10)
    assert shown[0].startswith(
        "unexpected ZeroDivisionError" if fails == "request" else "unexpected KeyError"
    )


@pytest.mark.pod("P20")
def test_unexpected_error_of_the_check_is_an_answer(monkeypatch: pytest.MonkeyPatch, user: User) -> None:
    """The button Check shows an error that nobody expects in place of the server's answer."""
    monkeypatch.delenv("PODTASK_BACKEND")
    done = threading.Event()
    answers: list[ServerAnswer] = []

    async def fail(pod: object, options: object) -> None:
        raise KeyError("metadata")

    def show(answer: ServerAnswer) -> None:
        answers.append(answer)
        done.set()

    monkeypatch.setattr(server_check, "server_dry_run", fail)
    server_check.check_on_server(user.builder.template, show)
    assert done.wait(10)
    assert answers == [ServerAnswer("unexpected KeyError: 'metadata'", accepted=False)]
