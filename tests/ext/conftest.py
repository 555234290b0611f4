"""A notebook's namespace, and a cluster that says nothing."""

from __future__ import annotations

import linecache
import socket
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ext.packing import FILE


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
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [],
                  "clusters": [{"name": "c", "cluster": server}],
                  "contexts": [{"name": "x", "context": {"cluster": "c", "user": ""}}]}  # fmt: skip
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield silent
