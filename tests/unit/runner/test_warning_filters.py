"""The functions of ``warnings`` that are sent (row C4)."""

from __future__ import annotations

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
