"""Which cluster is chosen, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import provider


def test_a_given_kubeconfig_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig that is named but missing is said, instead of building a node."""
    monkeypatch.setenv("PODTASK_TEST_KUBECONFIG", "/nowhere/config")
    assert provider.unavailable() == ("PODTASK_TEST_KUBECONFIG names /nowhere/config, which does not exist")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is not installed is named with the command that installs it."""
    monkeypatch.delenv("PODTASK_TEST_KUBECONFIG", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(provider, "_has_capabilities", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = provider.unavailable()
    assert reason is not None
    assert "containerd" in reason
    assert "apt-get install" in reason


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux the other way is named."""
    monkeypatch.delenv("PODTASK_TEST_KUBECONFIG", raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    assert provider.unavailable() == ("needs Linux, or a cluster named by PODTASK_TEST_KUBECONFIG")
