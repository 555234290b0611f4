"""Read the values of an ended task from the file that it has written to a volume (``--results-in``), through a pod."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from ..backends.base import Phase, RunnerListener
from ..cell.cell import Cell
from ..channel.job import RunnerResult
from ..config.options import DEFAULT_START_SECONDS, RunOptions
from ..errors import PodtaskError, TaskError
from ..manifest import owner_secrets
from ..manifest.pod_manifest import PodManifest
from ..manifest.results_volume import reading_pod
from ..runner import protocol
from ..template.template import PodTemplate
from .outcome import decode
from .prepare import prepare
from .start import NewRunner
from .wait import first_end

SOURCE = """
with open(path, "rb") as file:
    file.seek(-size, 2)
    data = file.read()
"""


class _Reporter:
    """Reports the phases of the pod that reads a file as phases of the task whose values it reads.

    Args:
        path: The file.
        listener: Listener of that task.
    """

    stopped = False

    def __init__(self, path: str, listener: RunnerListener) -> None:
        self._path = path
        self._listener = listener

    def on_phase(self, phase: Phase) -> None:
        """Receive a phase of the pod."""
        self._listener.on_phase(Phase("Fetching", f"{self._path} through a pod. {phase.line}"))

    def on_manifest(self, manifest: PodManifest) -> None:
        """Ignore the pod: the task has its own."""

    def on_note(self, text: str) -> None:
        """Pass a note on."""
        self._listener.on_note(text)

    def on_runner_note(self, text: str) -> None:
        """Ignore a note of the runner: the pod has none."""

    def on_notice(self, text: str) -> None:
        """Ignore a notice: the user has not written this pod."""

    def on_stuck_sidecars(self, causes: Mapping[str, str]) -> None:
        """Ignore sidecars: the pod has none."""

    def on_stream_refused(self, transport: str, reason: str) -> None:
        """Ignore how a stream was refused; the error says it."""

    def on_frame(self, frame: protocol.Frame) -> None:
        """Ignore output."""

    def on_usage(self, frame: protocol.Frame) -> None:
        """Ignore what the container uses."""

    async def wait_for_room(self) -> None:
        """Return at once."""


async def with_saved_values(
    result: RunnerResult,
    manifest: PodManifest,
    options: RunOptions,
    listener: RunnerListener,
    cancelled: asyncio.Event,
) -> RunnerResult:
    """Return a result with the values of its file, if the log did not have them; with a note if they cannot be read.

    Args:
        result: The result, as it was read from the log of the pod.
        manifest: The pod of the task.
        options: Options with the kubeconfig context and the namespace to use.
        listener: Receives phases and notes.
        cancelled: Set when the user cancels the task.
    """
    saved = result.end.get("saved")
    if not isinstance(saved, dict) or "packed" not in saved:
        return result
    try:
        data = await _read(saved, manifest, options, listener, cancelled)
    except PodtaskError as error:
        note = f"{saved['path']} has the values and could not be read: {error.message}"
        return RunnerResult({**result.end, "notes": [*result.end.get("notes", []), note]}, [])
    end = {**result.end, **{name: saved[name] for name in ("packed", "sizes", "kept")}, "size": len(data)}
    complete = RunnerResult.announced(end)
    complete.put(0, data)
    complete.stop_reason = result.stop_reason
    return complete


async def _read(
    saved: dict[str, Any],
    manifest: PodManifest,
    options: RunOptions,
    listener: RunnerListener,
    cancelled: asyncio.Event,
) -> bytes:
    """Return the values in a file.

    Raises:
        PodtaskError: The pod does not start, or the file is not the one that the task has written.
    """
    template = PodTemplate.of(reading_pod(manifest, saved["path"]))
    reading = RunOptions.of(
        template=template,
        outputs="data",
        python=manifest.python,
        namespace=options.namespace,
        context=options.context,
    )
    names = {"path": saved["path"], "size": saved["size"]}
    launcher = NewRunner(await asyncio.to_thread(prepare, Cell.of(SOURCE), reading, names))
    started = await launcher.start_runner(_Reporter(saved["path"], listener))
    try:
        waiting = first_end(started.backend, started.channel, cancelled, asyncio.sleep(DEFAULT_START_SECONDS))
        end = await asyncio.wait_for(waiting, DEFAULT_START_SECONDS)
    except asyncio.TimeoutError:
        raise TaskError(
            f"its pod has not started in {DEFAULT_START_SECONDS:g} s", "Load it in a cell."
        ) from None
    finally:
        await started.backend.delete()
        await asyncio.to_thread(owner_secrets.remove, started.backend.name)
    if not isinstance(end, RunnerResult):
        raise TaskError(end.message if end is not None else "stopped", "Load it in a cell.")
    outcome = await asyncio.to_thread(decode, end, started.where, launcher.hint_for)
    if outcome.error is not None:
        raise TaskError(str(outcome.error).partition("\n")[0], "Load it in a cell.")
    data = bytes(outcome.values["data"])
    if hashlib.sha256(data).hexdigest() != saved["sha256"]:
        raise TaskError("it is not the file that the task has written", "Another task may have replaced it.")
    return data
