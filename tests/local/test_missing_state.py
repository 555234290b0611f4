"""Hints about state that the pod lacks."""

from __future__ import annotations

import builtins

import pytest
from podtask.pickling.missing_state import missing_builtin_hint

from tests.notebook import Shell


def test_c5_builtin_that_a_cell_has_added(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    """C5: a builtin of the notebook, as ``icecream.install()`` makes one, gets the hint to run that line in the cell."""
    assert missing_builtin_hint("trace_it", {}) == ""
    monkeypatch.setattr(builtins, "trace_it", lambda value: value, raising=False)
    assert missing_builtin_hint("trace_it", {"trace_it": 1}) == ""
    cells = ["import builtins\nbuiltins.trace_it = print"]
    assert missing_builtin_hint("trace_it", {"In": cells}).endswith("such as: builtins.trace_it = print")
    shown = shell.shown_error("%%podtask --local\ntrace_it(3)")
    assert "The notebook has a builtin trace_it, which an earlier cell or an import has added" in shown
