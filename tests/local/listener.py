"""Listener for tests that run a backend or a channel without a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from podtask.backends.base import Phase
from podtask.runner import protocol


class Listener:
    """Pass each frame to a function, and ignore phases and notes.

    Args:
        receive_frame: Called with each frame; by default frames are ignored, too.
        receive_usage: Called with each usage frame; by default ignored, too.
    """

    stopped = False

    def __init__(
        self,
        receive_frame: Callable[[protocol.Frame], object] = lambda frame: None,
        receive_usage: Callable[[protocol.Frame], object] = lambda frame: None,
    ) -> None:
        self._receive_frame = receive_frame
        self._receive_usage = receive_usage

    def on_phase(self, phase: Phase) -> None:
        """Ignore a phase."""

    def on_note(self, text: str) -> None:
        """Ignore a note."""

    def on_runner_note(self, text: str) -> None:
        """Ignore a note of the runner."""

    def on_notice(self, text: str) -> None:
        """Ignore a notice."""

    def on_stuck_sidecars(self, causes: Mapping[str, str]) -> None:
        """Ignore sidecars."""

    def on_stream_refused(self, transport: str, reason: str) -> None:
        """Ignore a refusal."""

    def on_frame(self, frame: protocol.Frame) -> None:
        """Pass a frame on."""
        self._receive_frame(frame)

    def on_usage(self, frame: protocol.Frame) -> None:
        """Pass on what the container uses."""
        self._receive_usage(frame)

    async def wait_for_room(self) -> None:
        """Return at once."""
