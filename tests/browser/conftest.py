"""Fixtures with a browser and a JupyterLab; tests are skipped without a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import NOT_INSTALLED, WIDE, find_executable, launch, new_context
from tests.browser.lab import Lab
from tests.pods.conftest import in_namespace

FAILED: pytest.StashKey[bool] = pytest.StashKey()


# The scope is not the session: while Playwright is open, this thread has a running event loop.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Yield a headless browser."""
    if find_executable() is None:
        pytest.skip(NOT_INSTALLED)
    with launch() as browser:
        yield browser


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Yield a JupyterLab whose cells run on this machine."""
    lab = Lab(tmp_path_factory.mktemp("lab"), {"PODTASK_BACKEND": "local", "KUBECONFIG": os.devnull})
    yield lab
    lab.close()


@pytest.fixture(scope="package")
def cluster_lab(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Yield a JupyterLab whose cells run in pods; a kernel reads the kubeconfig when it starts."""
    folder = tmp_path_factory.mktemp("cluster-lab")
    lab = Lab(folder, {"PODTASK_BACKEND": "", "KUBECONFIG": str(folder / "config")})
    yield lab
    lab.close()


@pytest.fixture
def in_pods(cluster: Any, namespace: str, cluster_lab: Lab) -> Lab:
    """Return the same JupyterLab; kernels that start from now on use the namespace of the test."""
    in_namespace(cluster.kubeconfig, namespace, cluster_lab.folder.parent / "config")
    return cluster_lab


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember a failure for `keep_picture`."""
    yield
    if call.excinfo is not None:
        item.stash[FAILED] = True


@pytest.fixture(autouse=True)
def keep_picture(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep a picture of the newest page of JupyterLab as it is at the end of a test that fails."""
    if "open_notebook" not in request.fixturenames:
        yield
        return
    from tests.browser.notebook import save_picture

    browser = request.getfixturevalue("chromium")
    yield
    if browser.contexts and request.node.stash.get(FAILED, False):
        test = re.sub(r"\W+", "-", f"{request.path.stem}-{request.node.name}").strip("-")
        save_picture(browser.contexts[-1].pages[-1], f"end-{test}")


@pytest.fixture(scope="module")
def open_notebook(chromium: Any, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a notebook with its own page and kernel."""
    from tests.browser.notebook import Notebook

    contexts: list[Any] = []

    def open_new(*cells: str, dark: bool = False, width: int = WIDE, lab: Lab = lab) -> Any:
        contexts.append(context := new_context(chromium, width))
        name = f"{Path(request.node.name).stem}-{len(contexts)}"
        return Notebook(context.new_page(), lab, name, list(cells), dark)

    yield open_new
    for context in contexts:
        context.close()
