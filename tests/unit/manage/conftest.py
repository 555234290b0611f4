"""The cluster of these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from podtask.cluster.namespace import Namespace
from podtask.manage import lookup, operations, task_list

from .cluster import FakeApi


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[FakeApi], FakeApi]:
    """Function that makes an API server the cluster of the kubeconfig, and returns it.

    The user is alice. Nothing is known of the cluster yet, and her data folder is empty.
    """
    monkeypatch.setenv("PODTASK_USER", "alice")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(task_list, "_final_lines", {})

    def connect_to(api: FakeApi) -> FakeApi:
        async def open_namespace(context: str | None, name: str | None) -> Namespace:
            return api.namespace

        for module in (lookup, operations, task_list):
            monkeypatch.setattr(module, "open_namespace", open_namespace)
        return api

    return connect_to
