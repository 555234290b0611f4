"""Enumerations between releases of Python whose enum module differs."""

from __future__ import annotations

import enum

import pytest
from podtask.runner.reducers import classes


class Mode(enum.Flag):
    """A flag with a member of two bits."""

    READ = 1
    WRITE = 2
    BOTH = 3
    LATER = 8


@pytest.mark.skipif(not hasattr(enum.Flag, "_singles_mask_"), reason="this Python has no such attribute")
def test_b2_flags_of_an_older_release() -> None:
    """B2: an enumeration of Python 3.11.2 gets the attribute that 3.11.4 has added."""
    make, args, state, *_ = classes.reduce_class(Mode)
    attributes, registered = state
    older = {name: value for name, value in attributes.items() if name != "_singles_mask_"}
    assert len(older) == len(attributes) - 1
    made = make("a-number-of-this-test", *args[1:])
    classes.fill_class(made, (older, registered))
    assert vars(made)["_singles_mask_"] == vars(Mode)["_singles_mask_"] == 11
