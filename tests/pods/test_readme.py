"""The first cells of the README, with a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.docs.test_readme import first_cells
from tests.notebook import Kernel


@pytest.mark.cluster
def test_first_cells_run_in_a_pod(start_kernel: Callable[..., Kernel]) -> None:
    """U8: the first cells run as pasted with a cluster; the third one runs in a pod."""
    kernel = start_kernel()
    for cell in first_cells():
        ran = kernel.run(cell)
        assert ran.error is None, ran.error
    assert ran.result is not None
    assert re.fullmatch(r"\('podtask-[0-9a-f]{10}', 333328333350000\)", ran.result["text/plain"])
