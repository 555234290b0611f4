"""Preparing a cell."""

from __future__ import annotations

import threading
import unittest
from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.config.options import RunOptions
from podtask.errors import InputError
from podtask.lifecycle.prepare import prepare
from podtask.runner.bundle import MINOR


@pytest.mark.fault(103)
@pytest.mark.parametrize(("given", "linger"), [({}, 600), ({"linger": "20s"}, 20), ({"linger": "2h"}, 7200)])
def test_a_local_runner_lingers_as_documented(given: dict[str, Any], linger: float) -> None:
    """A local runner waits 10 minutes for its notebook, or as long as --linger says."""
    prepared = prepare(Cell.of("x = 1"), RunOptions.of(local=True, **given), {})
    job = prepared.job_for(f"{MINOR}.0", "podtask-x", prepared.manifest.linger_seconds, print)
    assert job.meta["linger"] == linger


def test_g3_what_cannot_be_sent_to_tests() -> None:
    """G3: a test that cannot be sent is an error that names -i; a member that cannot be sent is a note."""
    lock = threading.Lock()
    test = type("TestLock", (unittest.TestCase,), {"lock": lock, "__module__": "__main__"})
    namespace = {"TestLock": test, "lock": lock, "rows": [1]}
    with pytest.raises(InputError, match=r"TestLock.*cannot be sent") as caught:
        prepare(Cell.of("import unittest\nunittest.main()"), RunOptions.of(local=True), namespace)
    assert "-i" in caught.value.hint
    cell = Cell.of("import inspect, __main__\ninspect.getmembers(__main__)")
    prepared = prepare(cell, RunOptions.of(local=True), namespace)
    assert prepared.inputs.about["steps"] == ["rows"]
    (note,) = prepared.inputs.notes
    assert "TestLock, lock stayed in the notebook" in note
    alone = prepare(cell, RunOptions.of(local=True, inputs=["rows"]), namespace)
    assert alone.inputs.notes == ()
