"""The listener of a session's pod: it passes on to a cell what is reported."""

from __future__ import annotations

from collections.abc import Mapping

from ..backends.base import Phase
from ..lifecycle.interfaces import TaskListener
from ..manifest.pod_manifest import PodManifest
from ..runner import protocol


class SessionListener:
    """Passes what is reported on the pod of a session on to the cell that started it; see ``TaskListener``.

    Attributes:
        cell: The listener of that cell; None if there is none.
        manifest: The pod, once it is known.
    """

    def __init__(self) -> None:
        self.cell: TaskListener | None = None
        self.manifest: PodManifest | None = None

    @property
    def stopped(self) -> bool:
        """Whether the user has stopped the first cell."""
        return self.cell is not None and self.cell.stopped

    def on_manifest(self, manifest: PodManifest) -> None:
        """Receive the pod, before it is created."""
        self.manifest = manifest
        if self.cell is not None:
            self.cell.on_manifest(manifest)

    def on_phase(self, phase: Phase) -> None:
        """Receive the current phase."""
        if self.cell is not None:
            self.cell.on_phase(phase)

    def on_note(self, text: str) -> None:
        """Receive a line for the user."""
        if self.cell is not None:
            self.cell.on_note(text)

    def on_runner_note(self, text: str) -> None:
        """Receive a line of the runner for the user."""
        if self.cell is not None:
            self.cell.on_runner_note(text)

    def on_notice(self, text: str) -> None:
        """Receive a line that the user sees once."""
        if self.cell is not None:
            self.cell.on_notice(text)

    def on_stuck_sidecars(self, causes: Mapping[str, str]) -> None:
        """Receive the sidecars that do not start."""
        if self.cell is not None:
            self.cell.on_stuck_sidecars(causes)

    def on_stream_refused(self, transport: str, reason: str) -> None:
        """Receive how a stream to a running container was refused."""
        if self.cell is not None:
            self.cell.on_stream_refused(transport, reason)

    def on_frame(self, frame: protocol.Frame) -> None:
        """Ignore a frame that belongs to no cell."""

    def on_usage(self, frame: protocol.Frame) -> None:
        """Ignore what the container uses between two cells."""

    async def wait_for_room(self) -> None:
        """Return at once: nothing is shown between two cells."""
