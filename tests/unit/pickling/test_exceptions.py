"""Errors of a cell whose instances could not be unpickled in the notebook."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from podtask.pickling.exceptions import rebuild


def described(module: str, name: str, members: list[int] | None = None) -> dict[str, Any]:
    """Return the description of an error with two notes, as a runner sends it."""
    links: dict[str, Any] = {"cause": None, "context": None, "suppress": False, "frames": []}
    return {
        "type": name,
        "module": module,
        "message": "went wrong",
        "notes": ["while rows were read", "in batch 3"],
        "members": members or [],
        **links,
    }


@pytest.mark.parametrize(
    ("module", "name", "more"),
    [
        ("builtins", "ValueError", []),
        ("far", "Away", ["(replaces far.Away, which is not available in the notebook)"]),
        (
            "builtins",
            "UnicodeDecodeError",
            ["(replaces builtins.UnicodeDecodeError, which is not available in the notebook)"],
        ),
    ],
)
def test_error_in_place_of_another_one_keeps_its_notes(module: str, name: str, more: list[str]) -> None:
    """With any Python, the error has the message and the notes; a last one says what it stands for."""
    error = rebuild([described(module, name)], {})
    assert (type(error).__name__, str(error)) == (name, "went wrong")
    assert getattr(error, "__notes__", None) == ["while rows were read", "in batch 3", *more]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no groups of exceptions")
def test_group_that_is_made_again_keeps_its_notes() -> None:
    """The group and its members have their own notes."""
    group: Any = rebuild([described("builtins", "ExceptionGroup", [1]), described("builtins", "OSError")], {})
    [member] = group.exceptions
    assert group.__notes__ == member.__notes__ == ["while rows were read", "in batch 3"]
    assert isinstance(member, OSError)
