"""Each test is in one group, and the tests of a group run in one worker."""

from __future__ import annotations

from pathlib import Path

from tests.scheduling import BEGIN_WITH, BROWSER_AND_CLUSTER, group_of

ROOT = Path(__file__).parent.parent


def test_tests_of_a_file_stay_together() -> None:
    """Tests of a file share fixtures, and tests in the browser share one browser."""
    assert group_of("tests/local/test_boot.py::test_it[a/b::c]") == "tests/local/test_boot.py"
    assert group_of("tests/browser/test_look.py::test_it") == group_of(
        "tests/browser/test_status.py::test_it"
    )
    assert group_of("tests/browser/test_cells.py::test_it") == "tests/browser/test_cells.py"


def test_every_named_group_exists() -> None:
    """Every group that the distribution names is a file or a folder of tests."""
    for group in (*BEGIN_WITH, *BROWSER_AND_CLUSTER):
        assert (ROOT / group).exists()
