"""The functions of ``warnings`` that are sent (row C4)."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
from podtask.pickling.state import Pieces
from podtask.runner.state import warning_filters


def formatter(module: str) -> Any:
    """Return a function that was made inside a function of a module, as bokeh does at its import."""

    def _formatwarning(*_: Any) -> str:
        return "formatted"

    _formatwarning.__module__ = module
    return _formatwarning


@pytest.mark.parametrize(("module", "sent"), [("__main__", ["formatwarning"]), ("bokeh", [])])
def test_c4_a_library_sets_its_own_function(
    module: str, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """C4: the user's formatwarning is sent; that of a library is set by its import, also in the pod."""
    monkeypatch.setattr(warnings, "formatwarning", formatter(module))
    monkeypatch.setattr(warnings, "showwarning", formatter("bokeh"))
    found = warning_filters.capture(warnings, Pieces({}, "warnings")) or {"functions": {}}
    assert [*found["functions"]] == sent


@pytest.mark.parametrize(("before", "sent"), [([], 0), ([("ignore", None, Warning, None, 0)], 2)])
def test_c4_deprecations_of_the_notebook(before: list[Any], sent: int) -> None:
    """C4: IPython's filter for ``__main__`` is sent only where it comes before filters that it overrides."""
    shown = ("default", None, DeprecationWarning, re.compile("__main__"), 0)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for each in [*before, shown]:
            warnings.filters.insert(0, each)  # type: ignore[attr-defined]
        found = warning_filters.capture(warnings, Pieces({}, "warnings")) or {"filters": []}
    assert len(found["filters"]) == sent


def test_c4_filters_of_every_cell() -> None:
    """C4: filters are those of the moment, whether or not they are the same as at the cell before."""

    class OwnWarning(UserWarning):
        pass

    OwnWarning.__module__, OwnWarning.__qualname__ = "__main__", "OwnWarning"
    seen = []
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (None, BytesWarning, None, UserWarning, OwnWarning, UserWarning):
            if category is not None:
                warnings.filters[:] = [("ignore", None, category, None, 0)]  # type: ignore[index]
            found = warning_filters.capture(warnings, Pieces({"OwnWarning": OwnWarning}, "warnings"))
            seen.append([each[1][2][-1] for each in (found or {"filters": []})["filters"]])
    assert [names[0] if names and type(names[0]) is str else len(names) for names in seen] == [
        0,
        "BytesWarning",
        "BytesWarning",
        "UserWarning",
        1,  # a pickle
        "UserWarning",
    ]
