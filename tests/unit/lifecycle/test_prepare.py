"""Preparing a cell."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.cell.cell import Cell
from podtask.config.options import RunOptions
from podtask.lifecycle.prepare import prepare
from podtask.runner.bundle import MINOR


@pytest.mark.parametrize(("given", "linger"), [({}, 600), ({"linger": "20s"}, 20), ({"linger": "2h"}, 7200)])
def test_a_local_runner_lingers_as_documented(given: dict[str, Any], linger: float) -> None:
    """A local runner waits 10 minutes for its notebook, or as long as --linger says."""
    prepared = prepare(Cell.of("x = 1"), RunOptions.of(local=True, **given), {})
    job = prepared.job_for(f"{MINOR}.0", "podtask-x", prepared.manifest.linger_seconds, print)
    assert job.meta["linger"] == linger
