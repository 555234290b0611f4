"""Fixtures that all tests share, the selection of tests, and the tables printed after a run."""

from __future__ import annotations

import queue
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

from tests.minutes import TABLE, TestMinutes
from tests.notebook import Kernel, Shell
from tests.requirement_table import RequirementTable, target_of
from tests.stderr_queue import QueueStderr, StderrQueue
from tests.unit.packing import notebook_cells

pytest_plugins = ["tests.cluster.fixtures"]
# The duration of an example depends on the load of the machine.
settings.register_profile("podtask", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podtask")
TABLES: pytest.StashKey[list[RequirementTable]] = pytest.StashKey()
MINUTES: pytest.StashKey[TestMinutes] = pytest.StashKey()


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the owner's secrets of the tests' tasks in a folder of the tests, also for their kernels."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def no_notice_was_shown() -> None:
    """Let each test see the notices that a kernel shows once, and no ended task of an earlier test."""
    follow = sys.modules.get("podtask.lifecycle.follow")
    if follow is not None:
        follow.shown_notices.clear()
    task = sys.modules.get("podtask.lifecycle.task")
    if task is not None:
        task._ended_tasks.clear()


def pytest_addoption(parser: pytest.Parser) -> None:
    for option in ("features", "faults", "pods"):
        parser.addoption(
            f"--{option}",
            action="store_true",
            help=f"print which rows of the table of {option} have a passing test",
        )
    parser.addoption(
        "--matrix",
        action="store_true",
        help="run the tests of the matrix over versions and images, which are left out otherwise",
    )


def pytest_configure(config: pytest.Config) -> None:
    tables = (("feature", "features"), ("fault", "faults"), ("pod", "pods"))
    config.stash[TABLES] = [RequirementTable(*names) for names in tables]
    config.stash[MINUTES] = TestMinutes(TABLE.read_text())
    config.pluginmanager.register(Results(config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the matrix tests or, with ``--matrix``, all other tests."""
    wanted = config.getoption("--matrix")
    left_out = {item for item in items if (item.get_closest_marker("matrix") is not None) != wanted}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests by groups, regardless of ``--dist``."""
    from tests.scheduling import (
        Scheduler,  # needs pytest-xdist, which is not required for a run in one process
    )

    return Scheduler(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Raise an error for a mark with an unknown row before any test runs."""
    for table in session.config.stash[TABLES]:
        for item in session.items:
            table.rows_of(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the table rows of a test to its report, which a worker sends to the main process."""
    outcome: Any = yield
    report = outcome.get_result()
    for table in item.config.stash[TABLES]:
        if rows := table.rows_of(item):
            report.user_properties.append((table.marker, [target_of(item), *rows]))


class Results:
    """A plugin that collects the results of a run, including those that workers send."""

    def __init__(self, config: pytest.Config) -> None:
        self._tables = config.stash[TABLES]
        self._minutes = config.stash[MINUTES]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the duration of a report and the outcome of its table rows."""
        self._minutes.add(report.nodeid, report.duration)
        if report.failed or (report.when == "call" and report.passed):
            properties: dict[str, Any] = dict(report.user_properties)
            for table in self._tables:
                if table.marker in properties:
                    target, *rows = properties[table.marker]
                    table.add_result(rows, target, report.passed)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if lines := list(config.stash[MINUTES].lines()):
        terminalreporter.section("minutes (tests/minutes.txt)")
        for line in lines:
            terminalreporter.write_line(line)
    for table in config.stash[TABLES]:
        if config.getoption(f"--{table.option}"):
            terminalreporter.section(table.option)
            for line in table.lines():
                terminalreporter.write_line(line)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Yield a real IPython shell with podtask loaded; the error of a cell is raised in the test."""
    main = sys.modules["__main__"]
    made = Shell()
    try:
        yield made
    finally:
        made.close()
        sys.modules["__main__"] = main


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """Yield a real Jupyter kernel in a separate process, with podtask loaded."""
    made = Kernel()
    try:
        made.run("%load_ext podtask")
        yield made
    finally:
        made.close()


@pytest.fixture
def queue_stderr(monkeypatch: pytest.MonkeyPatch) -> QueueStderr:
    """Return a function that redirects standard error to a queue after pytest has set up its capture."""

    def start() -> queue.Queue[str]:
        stream = StderrQueue()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream.texts

    return start


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Run cells as IPython does, in ``__main__`` and with their source in linecache."""
    with notebook_cells(monkeypatch) as run:
        yield run


@pytest.fixture
def silent_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Point KUBECONFIG at an API server that accepts connections and never answers; yield its socket."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "users": [],
            "clusters": [{"name": "c", "cluster": server}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": ""}}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield silent
