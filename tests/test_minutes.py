"""The table of minutes adds up the tests of a folder and prints them beside the allowed minutes."""

from __future__ import annotations

from tests.minutes import TABLE, TestMinutes, folder_of


def test_folders_are_printed_beside_the_table() -> None:
    """Every part of a test counts; a folder that the table lacks is printed, too."""
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
    """The inner loop stays quiet."""
    minutes = TestMinutes("total 25")
    minutes.add("tests/unit/test_errors.py::test_it", 3)
    assert list(minutes.lines(3)) == []


def test_tests_beside_the_folders_have_a_row() -> None:
    """A test file in the tests folder itself counts for that folder."""
    assert folder_of("tests/test_minutes.py::test_it") == "tests"


def test_every_folder_with_tests_is_in_the_table() -> None:
    """A new folder gets its minutes."""
    tests = TABLE.parent
    folders = {folder_of(str(path.relative_to(tests.parent))) for path in tests.rglob("test_*.py")}
    assert folders | {"total"} == TestMinutes(TABLE.read_text()).table.keys()
