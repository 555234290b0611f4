"""Fixtures for tests on the local backend."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def local_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run cells on this machine, without a kubeconfig."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none")
