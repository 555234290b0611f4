"""Fixtures for tests of the form."""

from __future__ import annotations

from pathlib import Path

import pytest
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run without a cluster, and without the project and settings of the person who runs the tests."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def user() -> User:
    """Return a user of an empty form."""
    return User(TemplateBuilder())
