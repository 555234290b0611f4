"""A browser and a JupyterLab, or the reason why there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import NONE, WIDE, launched, path, window
from tests.browser.lab import Lab
from tests.pods.conftest import in_namespace


# Not of the session: where Playwright is open, this thread has a running event loop.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """A browser."""
    if path() is None:
        pytest.skip(NONE)
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab whose cells run on this machine."""
    made = Lab(tmp_path_factory.mktemp("lab"), {"PODTASK_BACKEND": "local", "KUBECONFIG": os.devnull})
    yield made
    made.close()


@pytest.fixture(scope="package")
def cluster_lab(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab whose cells run in pods; where, its kubeconfig says when a kernel starts."""
    folder = tmp_path_factory.mktemp("cluster-lab")
    made = Lab(folder, {"PODTASK_BACKEND": "", "KUBECONFIG": str(folder / "config")})
    yield made
    made.close()


@pytest.fixture
def in_pods(cluster: Any, namespace: str, cluster_lab: Lab) -> Lab:
    """That JupyterLab; cells of kernels that start now run in the test's namespace."""
    in_namespace(cluster.kubeconfig, namespace, cluster_lab.folder.parent / "config")
    return cluster_lab


@pytest.fixture(scope="module")
def open_notebook(chromium: Any, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens notebooks, each with a page and a kernel of its own."""
    from tests.browser.notebook import Notebook

    contexts: list[Any] = []

    def start(*cells: str, dark: bool = False, width: int = WIDE, lab: Lab = lab) -> Any:
        contexts.append(context := window(chromium, width))
        name = f"{Path(request.node.name).stem}-{len(contexts)}"
        return Notebook(context.new_page(), lab, name, list(cells), dark)

    yield start
    for context in contexts:
        context.close()
