"""What all tests share: the shell, the kernel, and the tables of features and faults."""

from __future__ import annotations

import linecache
import queue
import socket
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.listening import Ear, Listen
from tests.notebook import Kernel, Shell
from tests.rows import Rows
from tests.unit.packing import FILE

pytest_plugins = ["tests.cluster.fixtures"]
TABLES: pytest.StashKey[list[Rows]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    for option in ("features", "faults"):
        parser.addoption(
            f"--{option}",
            action="store_true",
            help=f"print which rows of the table of {option} have a passing test",
        )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLES] = [Rows("feature", "features"), Rows("fault", "faults")]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a mark of no row before the tests take their time."""
    for table in session.config.stash[TABLES]:
        for item in session.items:
            table.named(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed or (report.when == "call" and report.passed):
        for table in item.config.stash[TABLES]:
            table.add(item, report.passed)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for table in config.stash[TABLES]:
        if config.getoption(f"--{table.option}"):
            terminalreporter.section(table.option)
            for line in table.lines():
                terminalreporter.write_line(line)


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


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Listen:
    """Listens to standard error from when the test says so: the capture's own comes before that."""

    def start() -> queue.Queue[str]:
        ear = Ear()
        monkeypatch.setattr(sys, "stderr", ear)
        return ear.said

    return start


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Runs cells as IPython does, in ``__main__`` and with their source in linecache."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    namespace = main.__dict__
    names: list[str] = []

    def run(source: str) -> dict[str, Any]:
        name = FILE.format(len(names) + 1)
        names.append(name)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), namespace)
        return namespace

    yield run
    for name in names:
        linecache.cache.pop(name, None)


@pytest.fixture
def silent_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The listener of an API server that KUBECONFIG names: it answers nobody."""
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
