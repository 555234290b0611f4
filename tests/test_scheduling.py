"""Each test is in one group, and the tests of a group run in one worker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.scheduling import CLUSTER, USES_CLUSTER, check_groups, group_of

ROOT = Path(__file__).parent.parent


def test_tests_of_a_file_stay_together() -> None:
    """Tests of a file share fixtures, and tests in the browser share one browser."""
    assert group_of("tests/local/test_boot.py::test_it[a/b::c]") == "tests/local/test_boot.py"
    assert group_of("tests/browser/test_look.py::test_it") == group_of(
        "tests/browser/test_status.py::test_it"
    )
    assert group_of("tests/pods/test_cell.py::test_it") == CLUSTER


def test_test_that_uses_the_cluster_elsewhere_is_refused() -> None:
    """The error explains where to add the test."""
    test = SimpleNamespace(nodeid="tests/local/test_boot.py::test_it", fixturenames=["cluster"])
    with pytest.raises(pytest.UsageError, match=r"Add it to USES_CLUSTER in tests/scheduling\.py"):
        check_groups([test])


def test_every_prefix_names_tests() -> None:
    """Every prefix matches existing tests."""
    for prefix in USES_CLUSTER:
        path, _, name = prefix.partition("::")
        assert (ROOT / path).exists()
        assert not name or f"def {name}(" in (ROOT / path).read_text()
