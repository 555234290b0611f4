"""The errors: short, with what to do, and the same after a pickle."""

from __future__ import annotations

import pickle

import pytest
from podtask.errors import (
    ClusterError,
    InputError,
    PodtaskError,
    StartError,
    TaskError,
    TaskTimeout,
    nearest,
)

CLASSES = [PodtaskError, InputError, ClusterError, StartError, TaskError, TaskTimeout]
anyone = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


@anyone
def test_message_has_two_lines(kind: type[PodtaskError]) -> None:
    """The message is what is wrong, and on the next line what to do."""
    assert str(kind("It broke.", "Mend it.")) == "It broke.\nMend it."


@anyone
def test_message_without_advice_has_one_line(kind: type[PodtaskError]) -> None:
    """Where there is nothing to do, no empty line follows."""
    assert str(kind("It broke.")) == "It broke."


@anyone
def test_notebook_shows_the_message_only(kind: type[PodtaskError]) -> None:
    """What IPython renders is the class and the message, no frames."""
    shown = kind("It broke.", "Mend it.")._render_traceback_()
    assert shown == [f"{kind.__name__}: It broke.", "  Mend it."]


@anyone
@pytest.mark.parametrize("do", ["Mend it.", ""], ids=["advice", "none"])
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_error_survives_pickling(kind: type[PodtaskError], do: str, protocol: int) -> None:
    """A pickled error keeps its class, what, do and text."""
    error = kind("It broke.", do)
    found = pickle.loads(pickle.dumps(error, protocol))
    assert type(found) is kind
    assert (found.message, found.hint, str(found)) == ("It broke.", do, str(error))


@anyone
def test_every_error_is_caught_by_the_root(kind: type[PodtaskError]) -> None:
    """One except clause catches all of podtask's errors."""
    with pytest.raises(PodtaskError, match="broke"):
        raise kind("It broke.")


def test_timeout_is_also_pythons() -> None:
    """Who catches TimeoutError catches a task's."""
    with pytest.raises(TimeoutError, match="Too long"):
        raise TaskTimeout("Too long.", "Raise --timeout.")


def test_input_error_is_no_task_error() -> None:
    """What was never submitted is told apart from what failed."""
    assert not issubclass(InputError, TaskError)


@pytest.mark.parametrize(
    ("word", "say"),
    [
        ("tiemout", " Did you mean 'timeout'?"),
        ("image_", " Did you mean 'image'?"),
        ("imag", " Did you mean 'image'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_near_miss_is_named(word: str, say: str) -> None:
    """A misspelt word gets the nearest known one, a foreign word none."""
    assert nearest(word, ["image", "timeout", "memory"]) == say


def test_nearest_of_nothing_is_nothing() -> None:
    """Without known words there is no suggestion; any iterable will do."""
    assert nearest("image", iter(())) == ""
    assert nearest("imgae", iter(("image",))) == " Did you mean 'image'?"
