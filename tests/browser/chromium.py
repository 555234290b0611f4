"""Debian's Chromium, driven by Playwright."""

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
NONE = "no Chromium here: apt-get install chromium"


def path() -> str | None:
    """Returns where it is, None where it is not."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """A browser, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def window(browser: Any, width: int = WIDE, height: int = HEIGHT, scale: int = 1) -> Any:
    """Returns a new window of it, which may use the clipboard.

    Args:
        browser: that is launched.
        width: of the page, as its height.
        height: in CSS pixels.
        scale: the screen's pixels in one of the page.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return context
