"""The errors: short, with a hint, and unchanged after pickling."""

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
    did_you_mean,
)

CLASSES = [PodtaskError, InputError, ClusterError, StartError, TaskError, TaskTimeout]
anyone = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


@anyone
def test_message_has_two_lines(kind: type[PodtaskError]) -> None:
    """The first line describes the problem, the second what to do."""
    assert str(kind("It broke.", "Fix it.")) == "It broke.\nFix it."


@anyone
def test_message_without_advice_has_one_line(kind: type[PodtaskError]) -> None:
    """Without a hint, there is no empty second line."""
    assert str(kind("It broke.")) == "It broke."


@anyone
def test_notebook_shows_the_message_only(kind: type[PodtaskError]) -> None:
    """IPython shows the class and the message, without frames."""
    shown = kind("It broke.", "Fix it.")._render_traceback_()
    assert shown == [f"{kind.__name__}: It broke.", "  Fix it."]


@anyone
@pytest.mark.parametrize("hint", ["Fix it.", ""], ids=["advice", "none"])
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_error_survives_pickling(kind: type[PodtaskError], hint: str, protocol: int) -> None:
    """A pickled error keeps its class, message, hint and text."""
    error = kind("It broke.", hint)
    found = pickle.loads(pickle.dumps(error, protocol))
    assert type(found) is kind
    assert (found.message, found.hint, str(found)) == ("It broke.", hint, str(error))


@anyone
def test_every_error_is_caught_by_the_root(kind: type[PodtaskError]) -> None:
    """One except clause catches all of podtask's errors."""
    with pytest.raises(PodtaskError, match="broke"):
        raise kind("It broke.")


def test_timeout_is_also_pythons() -> None:
    """A handler of TimeoutError also catches a task's timeout."""
    with pytest.raises(TimeoutError, match="Too long"):
        raise TaskTimeout("Too long.", "Raise --timeout.")


def test_input_error_is_not_a_task_error() -> None:
    """An error before submission is not a TaskError."""
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
    """A misspelt word gets the nearest known one, an unrelated word none."""
    assert did_you_mean(word, ["image", "timeout", "memory"]) == say


def test_no_suggestion_without_known_words() -> None:
    """Without known words there is no suggestion; any iterable is accepted."""
    assert did_you_mean("image", iter(())) == ""
    assert did_you_mean("imgae", iter(("image",))) == " Did you mean 'image'?"
