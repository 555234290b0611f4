"""The table of minutes adds up the tests of each folder and prints them with the expected minutes."""

from __future__ import annotations

from tests.minutes import TABLE, TestMinutes, folder_of


def test_folders_are_printed_with_the_table() -> None:
    """All phases of a test count; a folder that is missing in the table is printed too."""
    minutes = TestMinutes("# a comment\ntests/unit 1.5  # another\ntotal 25\n")
    minutes.add("tests/unit/cell/test_cell.py::test_it", 60)
    minutes.add("tests/unit/test_errors.py::test_it[a/b]", 30)
    minutes.add("tests/new/test_it.py::test_it@cluster", 6)
    assert list(minutes.lines(120)) == [
        "folder                table  this run",
        "tests/new                 -       0.1",
        "tests/unit              1.5       1.5",
        "the whole run          25.0       2.0",
    ]


def test_short_run_prints_no_table() -> None:
    """A short run prints no table, so that the inner loop stays quiet."""
    minutes = TestMinutes("total 25")
    minutes.add("tests/unit/test_errors.py::test_it", 3)
    assert list(minutes.lines(3)) == []


def test_tests_outside_the_folders_have_a_row() -> None:
    """A test file in the tests folder itself counts for that folder."""
    assert folder_of("tests/test_minutes.py::test_it") == "tests"


def test_every_folder_with_tests_is_in_the_table() -> None:
    """Every folder with tests is in the table."""
    tests = TABLE.parent
    folders = {folder_of(str(path.relative_to(tests.parent))) for path in tests.rglob("test_*.py")}
    assert folders | {"total"} == TestMinutes(TABLE.read_text()).table.keys()
