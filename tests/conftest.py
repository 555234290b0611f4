"""What all tests share: the shell, the kernel, and the table of features."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook import Kernel, Shell

pytest_plugins = ["tests.cluster.fixtures"]
ROWS = Path(__file__).parent / "features.txt"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--features",
        action="store_true",
        help="print which rows of the feature table have a passing test",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SHOWN] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        for marker in item.iter_markers("feature"):
            for row in marker.args:
                item.config.stash[SHOWN].setdefault(row, []).append(report.passed)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--features"):
        return
    shown = config.stash[SHOWN]
    passed = {row for row, results in shown.items() if results and all(results)}
    rows = [line.split(maxsplit=1) for line in ROWS.read_text().splitlines() if line]
    terminalreporter.section("features")
    for row, words in rows:
        mark = "shown" if row in passed else "FAILED" if row in shown else "-"
        terminalreporter.write_line(f"{row}  {mark:7}{words}")
    terminalreporter.write_line(f"{len(passed)} of {len(rows)} rows have a passing test")


SHOWN: pytest.StashKey[dict[str, list[bool]]] = pytest.StashKey()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A real IPython shell with podtask loaded; errors of a cell are raised in the test."""
    main = sys.modules["__main__"]
    made = Shell()
    try:
        yield made
    finally:
        made.close()
        sys.modules["__main__"] = main


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A real Jupyter kernel in a process of its own, with podtask loaded."""
    made = Kernel()
    try:
        made.run("%load_ext podtask")
        yield made
    finally:
        made.close()
