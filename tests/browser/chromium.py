"""Start Debian's Chromium with Playwright."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
WIDE, NARROW, HEIGHT = 1280, 900, 900
NOT_INSTALLED = "Chromium is not installed: apt-get install chromium"


def find_executable() -> str | None:
    """Return the path of Chromium or Chrome, or None if neither is installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextlib.contextmanager
def launch() -> Iterator[Any]:
    """Start a headless browser, and close it at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def new_context(browser: Any, width: int = WIDE, height: int = HEIGHT, scale: int = 1) -> Any:
    """Return a new browser context, which may use the clipboard.

    Args:
        browser: The browser, as started by :func:`launch`.
        width: Width of the page in CSS pixels.
        height: Height of the page in CSS pixels.
        scale: Device pixels per CSS pixel.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return context
