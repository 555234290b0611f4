"""Fixtures for tests on the local backend."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def local_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run cells on this machine, without a kubeconfig."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none")


@pytest.fixture(scope="module")
def own_module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield a module of the user with the source ``OWN_MODULE`` of the file of tests.

    A call of a function sends its module. That of a module of the tests would send all of the tests.
    """
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_module.py").write_text(request.module.OWN_MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("own_module")
    del sys.modules["own_module"]
