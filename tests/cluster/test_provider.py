"""The selection of a cluster, and the reason if none is available."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import provider


def test_a_given_kubeconfig_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the named kubeconfig is missing, this is the reason, and no node is built."""
    monkeypatch.setenv("PODTASK_TEST_KUBECONFIG", "/nowhere/config")
    assert provider.unavailable() == ("PODTASK_TEST_KUBECONFIG names /nowhere/config, which does not exist")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason names missing packages and the command that installs them."""
    monkeypatch.delenv("PODTASK_TEST_KUBECONFIG", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(provider, "_has_capabilities", lambda: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = provider.unavailable()
    assert reason is not None
    assert "containerd" in reason
    assert "apt-get install" in reason


def test_other_systems_need_a_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    """On systems other than Linux, the reason names PODTASK_TEST_KUBECONFIG."""
    monkeypatch.delenv("PODTASK_TEST_KUBECONFIG", raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    assert provider.unavailable() == ("needs Linux, or a cluster named by PODTASK_TEST_KUBECONFIG")
