"""A browser and a JupyterLab, or the reason why there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
WIDE, NARROW = 1280, 900


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab whose cells run on this machine."""
    made = Lab(tmp_path_factory.mktemp("lab"), {"PODTASK_BACKEND": "local", "KUBECONFIG": os.devnull})  # fmt: skip
    yield made
    made.close()


@pytest.fixture(scope="module")
def open_notebook(
    chromium: Any, lab: Lab, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Any]]:
    """Opens notebooks, each with a page and a kernel of its own."""
    from tests.browser.notebook import Notebook

    contexts: list[Any] = []

    def start(*cells: str, dark: bool = False, width: int = WIDE, lab: Lab = lab) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        name = f"{Path(request.node.name).stem}-{len(contexts)}"
        return Notebook(context.new_page(), lab, name, list(cells), dark)

    yield start
    for context in contexts:
        context.close()
