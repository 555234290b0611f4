"""Show a task's updates as output, displays and a status line, in a notebook or a terminal."""

from __future__ import annotations

import codecs
import dataclasses
import json
import time
from typing import Any

from ..frontend import Screen
from ..lifecycle.outcome import Outcome
from ..lifecycle.task import Task
from ..lifecycle.updates import MAX_OUTPUT_BYTES, Update, gap_text
from ..pickling.plain_values import plain_display
from ..runner import protocol
from ..runner.ipython.pretty_printer import MAX_TEXT_CHARS
from ..runner.safe_text import escape_controls
from .browser_notification import ASK_SCRIPT, notification_script
from .details import Details
from .limits import OutputLimiter
from .status_line import StatusLine, TaskState, end_line

QUIET_SECONDS = 0.2  # a cell of a session that takes less has no status line
MAX_DISPLAY_BYTES = 32 << 20  # of all MIME types of a display; the pod may send anything
TICK_SECONDS = 0.1  # a blocking get cannot be interrupted on every system
WRITE_SECONDS = 0.05  # between two writes of a stream, so that a flood becomes few messages
MAX_TEXT_BYTES = 1 << 20  # of text that waits for the next write
LAST_OUTPUT = f"the last {MAX_OUTPUT_BYTES >> 20} MiB"


class View:
    """The view of a task on a screen.

    Args:
        task: The task.
        screen: A notebook's cell or a terminal.
        variable: Name of the variable that holds the task, for hints such as ``task.logs()``.
    """

    shows_result = False  # if True, displays that follow the last expression are shown below its value
    assigns = True  # whether the notebook has the returned variables when the task has ended

    def __init__(self, task: Task, screen: Screen, variable: str = "task") -> None:
        self._variable = variable
        self._late_displays: list[tuple[dict[str, Any], dict[str, Any], str | None, bool]] = []
        self._limiter = OutputLimiter()
        self.bundle: tuple[dict[str, Any], dict[str, Any]] | None = None
        self._task = task
        self._screen = screen
        self._details = Details(task)
        self._asking = False
        self._is_shown = False  # whether there is a status line
        self._is_first = True  # whether the status line was not shown yet
        self._stops = 0  # presses of the stop button
        self._complete = False  # whether all of the output was shown
        self._text: list[tuple[str, bytes]] = []
        self._text_bytes = 0
        self._written = 0.0
        self._decoders = {
            name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")
        }
        self._parts: list[bytes] = []  # of the display that is incomplete, up to MAX_DISPLAY_BYTES
        self._display_bytes = 0
        self._dropped_frames = 0  # that the runner no longer had

    def show_update(self, update: Update) -> bool:
        """Show an update, and return whether it was the last one."""
        if update.kind == "frame" and update.frame is not None:
            self._show_frame(update.frame)
        elif update.kind == "note":
            self._flush()
            self._screen.show_line(update.text)
        elif update.kind in ("phase", "usage"):
            self.show_status()
        return update.kind == "done"

    def wait_seconds(self) -> float:
        """Return how long to wait for the next update before calling :meth:`tick`."""
        if not self._text:
            return TICK_SECONDS
        return min(TICK_SECONDS, max(0.0, self._written + WRITE_SECONDS - time.monotonic()))

    def tick(self) -> None:
        """Write the text that has accumulated."""
        self._flush()

    def end(self) -> Outcome:
        """Show the rest of the output and how the task ended; return the outcome."""
        self._flush()
        self._show_tail()
        outcome = self._task.outcome()
        self._finish(outcome)
        self._complete = True
        self.show_status()
        self._task.update_log.drop_shown()
        return outcome

    def show_late_displays(self) -> None:
        """Show what the cell displayed after its last expression, such as open figures."""
        displays, self._late_displays = self._late_displays, []
        for display in displays:
            self._screen.publish(*display)

    def _finish(self, outcome: Outcome) -> None:
        """Show what follows the output; nothing by default."""

    def _show_frame(self, frame: protocol.Frame) -> None:
        if frame.kind == protocol.STREAM:
            self._text.append((frame.meta["name"], frame.data))
            self._text_bytes += len(frame.data)
            if time.monotonic() - self._written >= WRITE_SECONDS or self._text_bytes >= MAX_TEXT_BYTES:
                self._flush()
            return
        self._flush()
        if frame.kind == protocol.CLEAR_OUTPUT:
            self._limiter = OutputLimiter()
            self._screen.clear(bool(frame.meta["wait"]))
        elif frame.kind == protocol.INPUT_REQUEST:
            self._answer_input(frame.meta)
        elif frame.kind == protocol.STATE and "seconds" in frame.meta:
            names = ", ".join(frame.meta.get("pip", []))
            self._screen.show_line(f"Installed {names} in {frame.meta['seconds']} s.")
        elif frame.kind == protocol.GAP:
            if not self._dropped_frames:
                self._show_notice(gap_text(frame))
            self._dropped_frames += frame.meta["to"] - frame.meta["from"] + 1
            self._parts, self._display_bytes = [], 0
        elif frame.kind == protocol.DISPLAY:
            self._add_part(frame)

    def _add_part(self, frame: protocol.Frame) -> None:
        """Add a part of a display, and show the display if it is the last part."""
        self._display_bytes += len(frame.data)
        if self._display_bytes > MAX_DISPLAY_BYTES:
            self._parts.clear()
        else:
            self._parts.append(frame.data)
        if frame.meta.get("more"):
            return
        parts, self._parts = self._parts, []
        size, self._display_bytes = self._display_bytes, 0
        if size > MAX_DISPLAY_BYTES:
            self._show_notice(f"too large to show: a display ({size / 2**20:.1f} MiB)")
        else:
            self._show_display(frame.meta, b"".join(parts))

    def _show_display(self, meta: dict[str, Any], text: bytes) -> None:
        try:
            shown = json.loads(plain_display(text) if self._task.plain else text)
        except ValueError:
            if not self._dropped_frames:
                raise
            return  # its first parts were dropped
        data, too_large = protocol.drop_large(shown["data"])
        if self._task.is_untrusted and "text/plain" in data:
            data["text/plain"] = escape_controls(data["text/plain"])
        too_large += shown.get("too_large", [])
        if too_large:
            self._show_notice(f"too large to show: {', '.join(too_large)}")
        if meta.get("result"):
            self.bundle = data, shown["metadata"]
        elif data:
            display = data, shown["metadata"], meta.get("id"), bool(meta.get("update"))
            if self.shows_result and self.bundle is not None:
                self._late_displays.append(display)
            else:
                self._screen.publish(*display)

    def _answer_input(self, meta: dict[str, Any]) -> None:
        self._task.reply_nowait({"eof": True})  # no user waits for this cell

    def _flush(self) -> None:
        """Write the text that has accumulated, adjacent pieces of one stream at once."""
        if not self._text:
            return
        pieces, self._text, self._text_bytes = self._text, [], 0
        start = 0
        for index in range(1, len(pieces) + 1):
            if index == len(pieces) or pieces[index][0] != pieces[start][0]:
                name = pieces[start][0]
                data = b"".join(piece for _, piece in pieces[start:index])
                text = self._decoders[name].decode(data)
                self._write(name, text)
                start = index
        self._written = time.monotonic()

    def _write(self, name: str, text: str) -> None:
        now, ends = self._limiter.add(name, escape_controls(text) if self._task.is_untrusted else text)
        if now:
            self._screen.write(name, now)
        if ends:
            self._show_notice(
                "the output is long: its last lines follow when the cell ends; "
                f"{self._variable}.logs() returns {LAST_OUTPUT} of it"
            )

    def _show_tail(self) -> None:
        tail = self._limiter.take_tail()
        if self._limiter.left_out:
            size = self._limiter.left_out / 2**20
            rest = "all of it" if self._task.update_log.has_all_output else f"{LAST_OUTPUT} of it"
            rest = "all that was not dropped" if self._dropped_frames else rest
            self._show_notice(f"{size:.1f} MiB of output left out; {self._variable}.logs() returns {rest}")
        for name, text in tail:
            self._screen.write(name, text)
        if self._dropped_frames:
            self._show_notice(
                f"{self._dropped_frames} pieces of output were dropped: the runner keeps the last 256 MiB"
            )

    def _show_notice(self, text: str) -> None:
        self._screen.write("stderr", f"\n[podtask: {text}]\n")

    def show_status(self) -> None:
        """Show what the task does, or how it ended; the end only once the output is complete."""
        if (self._task.done() and not self._complete) or self._is_unremarkable():
            return
        self._is_shown = True
        details = self._details.html() if self._screen.folds else ""
        status = self._line().status(self._task.name, details)
        self._screen.show_status(dataclasses.replace(status, html=status.html + self._script()))

    def _is_unremarkable(self) -> bool:
        """Return whether the cell of a session is too short for a status line, and nothing is to be said of it."""
        task = self._task
        if not task.session or self._is_shown or self._stops or self._asking or task.seconds >= QUIET_SECONDS:
            return False
        if not task.done():
            return True
        outcome = task.outcome()
        return outcome.error is None and not (outcome.notes or outcome.not_returned or outcome.never_set)

    def _script(self) -> str:
        """Return the script of the status line that asks for notifications, or shows one; empty if neither is due."""
        if self._task.done():
            text = self._task.notification
            return notification_script(self._task.name, text) if text else ""
        is_first, self._is_first = self._is_first, False
        return ASK_SCRIPT if is_first and self._task.notifies else ""

    def _line(self) -> StatusLine:
        task = self._task
        name = task.called if task.called != task.name else ""
        if task.done():
            return end_line(
                task.outcome(),
                task.seconds,
                where=self._where,
                name=name,
                handle="" if self.assigns else self._variable,
                stopped=bool(self._stops),
                inputs=task.inputs,
                sidecars=list(task.stuck_sidecars),
                channel=task.channel,
            )
        return TaskState(
            task.phases[-1].phase,
            task.phase_seconds,
            task.seconds,
            task.start_time_left,
            running=task.status == "Running",
            local=task.local,
            name=name,
            sidecars=task.stuck_sidecars,
            asking=self._asking,
            stops=self._stops,
            usage=task.update_log.usage,
        ).line

    @property
    def _where(self) -> str:
        """Where the task ran. The name of the pod is among the details, if the screen has them."""
        if self._task.session:
            return f"in session {self._task.session}"
        if self._task.local:
            return "local"
        return "in a pod" if self._screen.folds or not self._task.name else f"in pod {self._task.name}"


def show_result(shell: Any, bundle: tuple[dict[str, Any], dict[str, Any]], outcome: Outcome) -> None:
    """Show the last expression as the cell's own result, and assign its value to ``_``.

    Args:
        shell: The IPython shell.
        bundle: (data, metadata) of the value, made in the pod.
        outcome: The outcome, which holds the value if it was returned.
    """
    hook = shell.displayhook
    data, metadata = bundle
    is_text = set(data) == {"text/plain"} and len(data["text/plain"]) < MAX_TEXT_CHARS
    if outcome.has_result and is_text and type(outcome.result).__module__ == "builtins":
        # Lay out containers as IPython does; an image without IPython cannot. The pod has cut a huge text.
        data = shell.display_formatter.format(outcome.result)[0]
    hook.start_displayhook()
    if data:  # otherwise the object has displayed itself
        hook.write_output_prompt()
        hook.write_format_data(data, metadata)
    if outcome.has_result:
        hook.update_user_ns(outcome.result)
        hook.fill_exec_result(outcome.result)
    hook.finish_displayhook()
