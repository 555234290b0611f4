"""What may mend an error is said where the notebook has what the pod missing_module_hint."""

from __future__ import annotations

import pytest
from podtask.pickling.hints import missing_name, missing_name_hint


class UndefinedVariableError(NameError):
    """Named as pandas' is."""


class Broken(NameError):
    """Words that cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError


Theirs = type("UndefinedVariableError", (NameError,), {"__module__": "pandas.errors"})


@pytest.mark.parametrize(
    ("error", "source", "name"),
    [
        (NameError("name 'x' is not defined"), "", "x"),
        (Theirs("local variable 'limit' is not defined"), "", "limit"),
        (UndefinedVariableError("name 'x' is not defined"), "", ""),
        (Broken("name 'x' is not defined"), "", ""),
        (NameError(Broken()), "", ""),
        (NameError(), "", ""),
        (AttributeError("module '__main__' has no attribute 'z'"), "", "z"),
        (AttributeError("module 'json' has no attribute 'z'"), "", ""),
        (KeyError("x"), "'{x}'.format(**globals())", "x"),
        (KeyError("x"), "d['x']", ""),
        (ValueError("name 'x' is not defined"), "", ""),
    ],
)
def test_missing_name(error: BaseException, source: str, name: str) -> None:
    """The name is taken from errors of Python and pandas, in their own words only."""
    assert missing_name(error, source) == name


def test_what_mends_a_missing_name() -> None:
    """What was not seen can be sent by name; what was left out cannot; the rest is unknown."""
    namespace = {"x": 1, "con": 2, "a": 3}
    sent = {"a": 3}
    assert missing_name_hint("x", namespace, sent, {}).endswith("Send it with -i a,x.")
    assert "con cannot be sent (no)" in missing_name_hint("con", namespace, sent, {"con": "no"})
    assert missing_name_hint("a", namespace, sent, {}) == ""
    assert missing_name_hint("new", namespace, sent, {}) == ""
