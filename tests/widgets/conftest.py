"""What tests of the form share."""

from __future__ import annotations

from pathlib import Path

import pytest
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster, no project and no settings of the one who runs the tests."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def user() -> User:
    """A user of a form that begins with nothing."""
    return User(TemplateBuilder())
