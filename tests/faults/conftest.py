"""Fixture that starts a scripted API server and points KUBECONFIG at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
