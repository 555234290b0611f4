"""Fixtures for a shell and a kernel that run cells in the test's namespace of the cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.notebook import Kernel, Shell


@pytest.fixture
def kubeconfig(cluster: Any, namespace: str, tmp_path: Path) -> Path:
    """Return the administrator's kubeconfig with the test's namespace as default."""
    return in_namespace(cluster.kubeconfig, namespace, tmp_path / f"{namespace}.yaml")


@pytest.fixture
def pods(shell: Shell, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Yield a shell whose cells run in pods of the test's namespace."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    return shell


@pytest.fixture
def start_kernel(kubeconfig: Path) -> Iterator[Callable[..., Kernel]]:
    """Return a function that starts kernels whose cells run in pods of the test's namespace."""
    made = []

    def start(config: Path = kubeconfig) -> Kernel:
        env = {name: value for name, value in os.environ.items() if name != "PODTASK_BACKEND"}
        made.append(Kernel({**env, "KUBECONFIG": str(config)}))
        made[-1].run("%load_ext podtask")
        return made[-1]

    yield start
    for kernel in made:
        kernel.close()


@pytest.fixture
def cut(
    shell: Shell,
    namespace: str,
    api_proxy: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Return a proxy between the shell and the API server."""
    proxy = api_proxy()
    config = in_namespace(proxy.kubeconfig, namespace, tmp_path / f"{namespace}-proxied.yaml")
    monkeypatch.setenv("KUBECONFIG", str(config))
    return proxy


@pytest.fixture
def slot(cluster: Any) -> Iterator[tuple[str, str]]:
    """Yield the names of an extended resource, of which the node has one, and of a high priority class."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    assert cluster.node
    cluster.set_capacity(f"podtask.test/{name}", 1)
    cluster.kubectl("create", "priorityclass", name, "--value=1000")
    yield f"podtask.test/{name}", name
    cluster.kubectl("delete", "priorityclass", name)
    cluster.set_capacity(f"podtask.test/{name}", None)


def in_namespace(source: Path, namespace: str, target: Path) -> Path:
    """Write a copy of a kubeconfig whose contexts name a namespace."""
    config = yaml.safe_load(source.read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    target.write_text(yaml.safe_dump(config))
    return target
