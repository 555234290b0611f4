"""Updates of a task become text, pictures and a status line, in a notebook or a terminal."""

from __future__ import annotations

import codecs
import json
import time
from typing import Any

from ..config.options import BATCH, EXEC
from ..config.quantities import byte_size
from ..frontend import Screen
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from ..lifecycle.updates import Update
from ..runner import protocol
from .details import Details
from .limits import OutputLimiter, bounded

TICK = 0.1  # seconds; a blocking get cannot be interrupted on every system
GATHER = 0.05  # seconds between two writes of a stream, so that a flood is few messages
LISTED = 6  # values in the closing line
STATUS_ICONS = {"Running": "●", "ok": "✓", "error": "✗"}


class View:
    """Shows a task on a screen until it ends.

    Args:
        task: the task.
        screen: a Notebook or a Terminal.
        called: how the user gets at the task.
    """

    shows_result = False  # where the last expression is shown, figures left open come below it

    def __init__(self, task: Task, screen: Screen, called: str = "task") -> None:
        self._called = called
        self._late: list[tuple[dict[str, Any], dict[str, Any], str | None, bool]] = []
        self._tally = OutputLimiter()
        self.bundle: tuple[dict[str, Any], dict[str, Any]] | None = None
        self._task = task
        self._screen = screen
        self._details = Details(task, screen)
        self._text: list[tuple[str, bytes]] = []
        self._written = 0.0
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")
        }
        self._parts: list[bytes] = []
        self._lost = 0  # frames that the runner no longer had for us

    def take(self, update: Update) -> bool:
        """Shows an update; returns whether it was the last."""
        if update.kind == "frame" and update.frame is not None:
            self._frame(update.frame)
        elif update.kind == "note":
            self._flush()
            self._screen.close(update.text)
        elif update.kind == "phase":
            self.show_status()
        return update.kind == "done"

    def wait_seconds(self) -> float:
        """Returns how long the next update may be waited for, until :meth:`tick`."""
        if not self._text:
            return TICK
        return min(TICK, max(0.0, self._written + GATHER - time.monotonic()))

    def tick(self) -> None:
        """Writes what has gathered."""
        self._flush()

    def end(self) -> Outcome:
        """Shows the rest and the closing line; returns the outcome."""
        self._flush()
        self._show_tail()
        outcome = self._task.outcome()
        self.show_status()
        self._finish(outcome)
        text = closing(self._task, outcome, self._screen.keeps_status)
        if text:
            self._screen.close(text)
        return outcome

    def show_late(self) -> None:
        """Shows what the cell displayed after its last expression."""
        late, self._late = self._late, []
        for display in late:
            self._screen.publish(*display)

    def _finish(self, outcome: Outcome) -> None:
        """Shows what is to stand above the closing line; here nothing."""

    def _frame(self, frame: protocol.Frame) -> None:
        if frame.kind == protocol.STREAM:
            self._text.append((frame.meta["name"], frame.data))
            if time.monotonic() - self._written >= GATHER:
                self._flush()
            return
        self._flush()
        if frame.kind == protocol.CLEAR_OUTPUT:
            self._tally = OutputLimiter()
            self._screen.clear(bool(frame.meta["wait"]))
        elif frame.kind == protocol.INPUT_REQUEST:
            self._ask(frame.meta)
        elif frame.kind == protocol.STATE and "seconds" in frame.meta:
            names = ", ".join(frame.meta["pip"])
            self._screen.close(f"Installed {names} in {frame.meta['seconds']} s.")
        elif frame.kind == protocol.GAP:
            if not self._lost:
                self._say("output was dropped here: it came faster than it could be sent, or nobody was here")
            self._lost += frame.meta["to"] - frame.meta["from"] + 1
            self._parts = []
        elif frame.kind == protocol.DISPLAY:
            self._parts.append(frame.data)
            if not frame.meta.get("more"):
                self._display(frame.meta, b"".join(self._parts))
                self._parts = []

    def _display(self, meta: dict[str, Any], text: bytes) -> None:
        try:
            shown = json.loads(text)
        except ValueError:
            if not self._lost:
                raise
            return  # its first pieces were dropped
        data, too_large = bounded(shown["data"])
        if too_large:
            self._say(f"too large to show: {', '.join(too_large)}")
        if meta.get("result"):
            self.bundle = data, shown["metadata"]
        elif data:
            display = data, shown["metadata"], meta.get("id"), bool(meta.get("update"))
            if self.shows_result and self.bundle is not None:
                self._late.append(display)
            else:
                self._screen.publish(*display)

    def _ask(self, meta: dict[str, Any]) -> None:
        self._task.reply_nowait({"eof": True})  # nobody sits here

    def _flush(self) -> None:
        """Writes what has gathered, neighbouring pieces of one stream at once."""
        if not self._text:
            return
        pieces, self._text = self._text, []
        start = 0
        for place in range(1, len(pieces) + 1):
            if place == len(pieces) or pieces[place][0] != pieces[start][0]:
                name = pieces[start][0]
                data = b"".join(piece for _, piece in pieces[start:place])
                text = self._decoders[name].decode(data)
                self._write(name, text)
                start = place
        self._written = time.monotonic()

    def _write(self, name: str, text: str) -> None:
        now, ends = self._tally.take(name, text)
        if now:
            self._screen.write(name, now)
        if ends:
            self._say(f"the last of a long output comes at its end; {self._called}.logs() has all")

    def _show_tail(self) -> None:
        tail = self._tally.end()
        if self._tally.left_out:
            size = self._tally.left_out / 2**20
            has = "what was not dropped" if self._lost else "all"
            self._say(f"{size:.1f} MiB of output left out; {self._called}.logs() has {has}")
        for name, text in tail:
            self._screen.write(name, text)
        if self._lost:
            self._say(f"{self._lost} pieces of output were dropped: the runner keeps the last 256 MiB")

    def _say(self, text: str) -> None:
        self._screen.write("stderr", f"\n[podtask: {text}]\n")

    def show_status(self) -> None:
        """Shows where the task is, since when."""
        task = self._task
        if task.done():
            mark = STATUS_ICONS.get(task.status, "✗")
            headline = f"{mark} {task.name or 'podtask'} · {task.status}"
            progress = f"{task.seconds:.1f} s"
        else:
            mark = STATUS_ICONS.get(task.status, "○")
            phase = task.phases[-1].phase
            headline = f"{mark} {task.name or 'podtask'} · {phase.line}"
            progress = f"{task.phase_seconds:.0f} s"
            if phase.waiting:
                progress += f" · given up in {_duration(task.start_time_left)}"
        self._screen.status(f"{headline} · {progress}", headline)
        self._details.show()


def closing(task: Task, outcome: Outcome, named: bool) -> str:
    """Returns the one line at the end: pod, duration, what came back, what stayed.

    Args:
        task: the task.
        outcome: its.
        named: pod and duration stand elsewhere; without anything else the line is empty.
    """
    parts = [] if named else [f"{task.name or 'podtask'}", f"{task.seconds:.1f} s"]
    if task.channel in (EXEC, BATCH):  # not what is usual
        parts.append(f"by {task.channel}")
    sent = [(name, kind, size) for name, (kind, size) in task.inputs.items() if not name.startswith("__")]
    parts += _listed("in", sent) + _listed("back", outcome.returned)
    for name, kind, why in outcome.not_returned:
        parts.append(f"{name} ({kind}) stayed: {why}")
    if outcome.never_set:
        parts.append(f"never set: {', '.join(outcome.never_set)}")
    if outcome.left_in_pod:
        parts.append(
            "left in the pod: " + ", ".join(f"{name} ({kind})" for name, kind in outcome.left_in_pod)
        )
    if outcome.changed_inputs:
        names = [*outcome.changed_inputs[:LISTED], *(["..."] if outcome.changed_inputs[LISTED:] else [])]
        them = "it" if len(names) == 1 else "them"
        parts.append(f"changed in the pod: {', '.join(names)}; -o brings {them} back")
    if outcome.left_running:
        parts.append(f"left running and ended: {', '.join(outcome.left_running)}")
    return " · ".join([*parts, *outcome.notes])


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _listed(word: str, values: list[tuple[str, str, int]]) -> list[str]:
    """Returns values by name, type and size, the largest first; none for none."""
    if not values:
        return []
    ordered = sorted(values, key=lambda value: -value[2])
    shown = [f"{name} ({kind}, {byte_size(size)})" for name, kind, size in ordered[:LISTED]]
    if len(values) > LISTED:
        shown.append(f"{len(values) - LISTED} more")
    return [f"{word}: {', '.join(shown)}"]


def show_result(shell: Any, bundle: tuple[dict[str, Any], dict[str, Any]], outcome: Outcome) -> None:
    """Shows the last expression as the cell's own result, and puts its value into ``_``.

    Args:
        shell: the IPython shell.
        bundle: (data, metadata) as the pod shows it.
        outcome: holds the value, where it came back.
    """
    hook = shell.displayhook
    data, metadata = bundle
    if outcome.has_result and set(data) == {"text/plain"} and type(outcome.result).__module__ == "builtins":
        # IPython's own layout of containers, which a bare image does not have.
        data = shell.display_formatter.format(outcome.result)[0]
    hook.start_displayhook()
    if data:  # else the object has shown itself
        hook.write_output_prompt()
        hook.write_format_data(data, metadata)
    if outcome.has_result:
        hook.update_user_ns(outcome.result)
        hook.fill_exec_result(outcome.result)
    hook.finish_displayhook()
