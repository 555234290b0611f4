"""Fixture that starts a scripted API server and points KUBECONFIG at it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podtask.event_loop import loop

from .scripts import Script
from .server import Server


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], Server]]:
    """Return a function that starts a server with a script; call it once."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    with contextlib.ExitStack() as stack:

        def start(script: Script) -> Server:
            server = stack.enter_context(contextlib.closing(Server(script, tmp_path)))
            monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
            return server

        yield start
        loop().run(_end_background())


async def _end_background() -> None:
    """End the deletions that a test has not waited for: they would go on until the server of the next test."""
    background = list(loop()._background)
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
