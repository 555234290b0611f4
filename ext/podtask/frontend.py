"""Where tasks are shown: in a cell of a notebook, or on a terminal."""

from __future__ import annotations

import enum
import html
import os
import re
import shutil
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .runner.safe_text import safe_text

# Aligned with the text that JupyterLab shows, in the color of the page's text.
TEXT_STYLE = (
    "padding-left:1ch;font:var(--jp-code-font-size,13px)/1.6 "
    "var(--jp-code-font-family,var(--vscode-editor-font-family,monospace));white-space:pre-wrap;color:inherit"
)
NOTE_STYLE = "opacity:.75"
# Of the mark that says where a cell runs: the colors of the theme, or those of the page's text.
MARK_STYLE = (
    "padding-left:1ch;font:11px/1.4 var(--jp-ui-font-family,var(--vscode-font-family,sans-serif));"
    "border-left:2px solid var(--jp-brand-color1,var(--vscode-focusBorder,currentColor));"
    "color:var(--jp-ui-font-color2,var(--vscode-descriptionForeground,inherit))"
)
REFRESH_SECONDS = 60.0  # of a line whose times only change: the page counts them
LIVE_SECONDS = 5.0  # between two versions of a line in which only what the cell uses has changed
QUIET_SECONDS = 5.0  # of a phase, until it is printed where no line can be rewritten
MIN_COLUMNS = 20
INDENT = "  "  # of the rows below the first one of a status line: its words begin after the mark
NO_BREAK_SPACE = "\u00a0"
# The spaces at which a line is not wrapped: after a separator, so that it begins the next line, and before a unit.
INNER_SPACE = re.compile(r"(?<= ·) |(?<=\d) (?=(?:s|min|h|d|KiB|MiB|GiB|CPUs)\b)")


class Tone(enum.Enum):
    """What a mark says by its color; the value is the color of a terminal."""

    NONE = ""
    GOOD = "32"
    WARN = "33"
    BAD = "31"


@dataclass(frozen=True)
class Status:
    """The line of a task, as a screen shows it.

    Args:
        text: The line without its mark.
        mark: One character before the text; may be empty.
        tone: Color of the mark.
        advice: What to do, as a second line; may be empty.
        html: Mark, line, advice and what the line unfolds, as HTML.
        version: Changes whenever the line says something else; times that count do not belong to it.
        live: The part of the line that changes all the time.
        brief: What a log gets in place of the lines of a map that runs; empty for the line of a task.
        ended: Whether this is the last line of the task.
    """

    text: str
    mark: str = ""
    tone: Tone = Tone.NONE
    advice: str = ""
    html: str = ""
    version: object = None
    live: str = ""
    brief: str = ""
    ended: bool = False

    @property
    def lines(self) -> list[str]:
        """Mark and line, then the advice, as text."""
        first = f"{self.mark} {self.text}" if self.mark else self.text
        return safe_text(f"{first}\n{self.advice}" if self.advice else first).splitlines()


class Screen(Protocol):
    """A screen that shows the output and the status of a task.

    Attributes:
        folds: Whether the status line can be unfolded.
    """

    folds: bool

    def write(self, name: str, text: str) -> None:
        """Write to stdout or stderr."""

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Show a MIME bundle."""

    def clear(self, wait: bool) -> None:
        """Clear the output."""

    def show_status(self, status: Status) -> None:
        """Show or replace the status line; called often."""

    def show_line(self, text: str) -> None:
        """Show a line of its own: a note."""

    def begin_with(self, mark: str) -> None:
        """Show a mark in front of what is shown first: where the cell runs."""

    def show_mark(self, mark: str = "") -> None:
        """Show a mark, or that of :meth:`begin_with` if nothing was shown yet."""

    def ask_for_input(self, prompt: str, password: bool) -> str:
        """Ask the user for a line of input and return it.

        Args:
            prompt: Text to show.
            password: Whether to hide what the user types.
        """


class Terminal:
    """A terminal or a script: output is printed unchanged, the status and notes go to stderr.

    On a terminal, one status line is rewritten. Elsewhere, a phase is printed once, if it lasts.

    Args:
        live: Whether to show the task before it ends; False if the prompt is shown meanwhile.
    """

    folds = False

    def __init__(self, live: bool = True) -> None:
        self._live = live
        self._rows: list[str] = []  # of the status line, below the last output
        self._at_line_start = True
        self._version: object = None
        self._version_since = time.monotonic()
        self._printed: object = None
        self._mark = ""

    def begin_with(self, mark: str) -> None:
        """Print a mark in front of what is shown first: where the cell runs."""
        self._mark = mark

    def show_mark(self, mark: str = "") -> None:
        """Print a mark to stderr, or that of :meth:`begin_with` if nothing was shown yet."""
        mark, self._mark = mark or self._mark, ""
        if mark:
            self._print_mark(mark)

    def _print_mark(self, mark: str) -> None:
        self._print("", safe_text(f"[{mark}]"))

    def write(self, name: str, text: str) -> None:
        """Write to stdout or stderr."""
        self.show_mark()
        self._erase()
        stream = sys.stdout if name == "stdout" else sys.stderr
        stream.write(text)
        stream.flush()
        self._at_line_start = text.endswith("\n") if text else self._at_line_start

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Print the plain text of a bundle."""
        self.show_mark()
        self._erase()
        print(data.get("text/plain", ""), flush=True)
        self._at_line_start = True

    def clear(self, wait: bool) -> None:
        """Do nothing: text on a terminal cannot be cleared."""

    def show_status(self, status: Status) -> None:
        """Show the status line: rewritten on a terminal; elsewhere once for each phase that lasts, and at the end."""
        if status.ended:
            self.show_mark()
            self._erase()
            is_terminal = sys.stderr.isatty()
            before = "\n" if is_terminal and not self._at_line_start else ""
            self._print(before, *(_colored(status, _wrapped(status)) if is_terminal else status.lines))
        elif not self._live:
            return
        elif sys.stderr.isatty():
            self.show_mark()
            self._rewrite(_fitted(status))
        elif status.version != self._version:
            self._version, self._version_since = status.version, time.monotonic()
        elif self._printed != self._version and time.monotonic() - self._version_since >= QUIET_SECONDS:
            self._printed = self._version
            self.show_mark()
            self._print("", *([status.brief] if status.brief else status.lines))

    def show_line(self, text: str) -> None:
        """Print the line to stderr."""
        self.show_mark()
        self._erase()
        self._print("", safe_text(text))

    def ask_for_input(self, prompt: str, password: bool) -> str:
        """Ask on the terminal."""
        import getpass  # start-up cost: rarely needed

        self.show_mark()
        self._erase()
        answer = getpass.getpass(prompt) if password else input(prompt)
        self._at_line_start = True
        return answer

    def _rewrite(self, rows: list[str]) -> None:
        """Replace the status line, unless the output has begun a line that is not complete."""
        if self._at_line_start and rows != self._rows:
            self._erase()
            self._rows = rows
            sys.stderr.write("\n".join(rows))
            sys.stderr.flush()

    def _erase(self) -> None:
        """Erase the status line, so that output takes its place."""
        if self._rows:
            sys.stderr.write("\r\x1b[K" + "\x1b[1A\x1b[K" * (len(self._rows) - 1))
            sys.stderr.flush()
            self._rows = []

    @staticmethod
    def _print(before: str, *lines: str) -> None:
        print(before + "\n".join(lines), file=sys.stderr, flush=True)


def keep_together(text: str) -> str:
    """Return a text whose lines are not wrapped after a separator or before a unit, where they would be hard to read."""
    return INNER_SPACE.sub(NO_BREAK_SPACE, text)


def _wrapped(status: Status) -> list[str]:
    """Return the rows of a status line, none longer than the terminal is wide; the advice is below the words."""
    columns = max(MIN_COLUMNS, shutil.get_terminal_size().columns - 1)
    rows: list[str] = []
    for line in status.lines:
        indent = INDENT if status.mark and rows else ""
        # A part that fits in a row is not broken.
        parts = [
            part.replace(" ", NO_BREAK_SPACE)
            if len(part) <= columns - 2 * len(INDENT)
            else keep_together(part)
            for part in line.split(" · ")
        ]
        wrapped = textwrap.wrap(
            keep_together(" · ").join(parts),
            columns,
            initial_indent=indent,
            subsequent_indent=INDENT,
            break_on_hyphens=False,
        )
        rows += [row.replace(NO_BREAK_SPACE, " ") for row in wrapped] or [""]
    return rows


def _fitted(status: Status) -> list[str]:
    """Return the wrapped rows of a status line, no more than the terminal has."""
    return _colored(status, _wrapped(status)[: max(1, shutil.get_terminal_size().lines - 1)])


def _colored(status: Status, rows: list[str]) -> list[str]:
    if not status.tone.value or "NO_COLOR" in os.environ:
        return rows
    return [rows[0].replace(status.mark, f"\x1b[{status.tone.value}m{status.mark}\x1b[0m", 1), *rows[1:]]


class Notebook(Terminal):
    """The running cell of a Jupyter kernel: shows MIME bundles, and updates its status line in place.

    Args:
        shell: The kernel's IPython shell.
    """

    folds = True

    def __init__(self, shell: Any) -> None:
        super().__init__()
        self._shell = shell
        self._id = uuid.uuid4().hex
        self._status: dict[str, Any] = {}
        self._live_text = ""
        self._shown_at = 0.0
        self._clear_next = False
        self._shown_mark = ""

    def write(self, name: str, text: str) -> None:
        """Write to the cell's stdout or stderr."""
        self._clear_if_due()
        super().write(name, text)

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Show a MIME bundle in the cell."""
        self.show_mark()
        self._clear_if_due()
        self._publish(data, metadata, display_id, update)

    def clear(self, wait: bool) -> None:
        """Clear the cell's output, but keep the status line."""
        self._clear_next = True
        if not wait:
            self._clear_if_due()

    def show_status(self, status: Status) -> None:
        """Show the status line, above the output; replace it if it says something else, or is old."""
        now, shown = time.monotonic(), bool(self._status)
        lasts = REFRESH_SECONDS if status.live == self._live_text else LIVE_SECONDS
        if shown and status.version == self._version and now - self._shown_at < lasts:
            return
        self._version, self._live_text, self._shown_at = status.version, status.live, now
        self.show_mark()
        self._status = _bundle("\n".join(status.lines), status.html)
        self._publish(self._status, {}, self._id, shown)

    def show_line(self, text: str) -> None:
        """Show the line below the output."""
        self.show_mark()
        self._publish(_line_bundle(text), {}, None, False)

    def _print_mark(self, mark: str) -> None:
        self._shown_mark = mark
        shown = safe_text(mark)
        content = f'<div style="{MARK_STYLE}">{html.escape(shown)}</div>'
        self._publish({"text/plain": f"[{shown}]", "text/html": content}, {}, None, False)

    def _publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        transient = {"display_id": display_id} if display_id else None
        self._shell.display_pub.publish(data=data, metadata=metadata, transient=transient, update=update)

    def _clear_output(self) -> None:
        self._shell.display_pub.clear_output(wait=True)

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear_next = False
            self._clear_output()
            self.show_mark(self._shown_mark)
            if self._status:
                self._publish(self._status, {}, self._id, False)


class SubmittingCell(Notebook):
    """The cell that submitted a task: its output appears there even while other cells run.

    It can be used from any thread. Every message has this cell as its parent, whereas the kernel's
    own streams and displays belong to the cell that is running.

    Args:
        shell: The kernel's IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._kernel = shell.kernel
        self._parent = shell.kernel.get_parent("shell")

    @property
    def cell_id(self) -> str:
        """The id of the message that runs the cell."""
        return str(self._parent.get("header", {}).get("msg_id", ""))

    def write(self, name: str, text: str) -> None:
        """Write to the cell's stdout or stderr."""
        self._clear_if_due()
        self._send("stream", {"name": name, "text": text})

    def _publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        transient = {"display_id": display_id} if display_id else {}
        content = {"data": data, "metadata": metadata, "transient": transient}
        self._send("update_display_data" if update else "display_data", content)

    def _clear_output(self) -> None:
        self._send("clear_output", {"wait": True})

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        kernel = self._kernel
        topic = f"kernel.{kernel.ident}.{kind}".encode()
        kernel.session.send(kernel.iopub_socket, kind, content, parent=self._parent, ident=topic)


def current_screen(outlives_cell: bool = False) -> Screen:
    """Return the running cell if there is a kernel, otherwise a terminal.

    Args:
        outlives_cell: Whether the screen is also used after the cell has ended, while other cells run.
    """
    shell = None
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython  # start-up cost: only where IPython is loaded

        shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return Terminal(live=not outlives_cell)
    return SubmittingCell(shell) if outlives_cell else Notebook(shell)


def running_cell() -> str:
    """Return what identifies the running cell of a kernel; empty without a kernel."""
    cell = current_screen(outlives_cell=True)
    return cell.cell_id if isinstance(cell, SubmittingCell) else ""


def show_refreshable(make_bundle: Callable[[], dict[str, str]]) -> Callable[[], None] | None:
    """Show a display that can be refreshed in the running cell.

    Args:
        make_bundle: Returns the current content: MIME type -> text.

    Returns:
        A function that refreshes the display; it can be called from any thread, also while other
        cells run. None on a terminal.
    """
    cell, shown = current_screen(outlives_cell=True), make_bundle()
    display_id = uuid.uuid4().hex
    cell.publish(shown, {}, display_id, update=False)

    def refresh() -> None:
        nonlocal shown
        before, shown = shown, make_bundle()
        if shown != before:
            cell.publish(shown, {}, display_id, update=True)

    return refresh if isinstance(cell, Notebook) else None


def _line_bundle(line: str) -> dict[str, Any]:
    return _bundle(safe_text(line), f'<div style="{NOTE_STYLE}">{html.escape(line)}</div>')


def _bundle(text: str, content: str) -> dict[str, Any]:
    return {"text/plain": text, "text/html": f'<div style="{TEXT_STYLE}">{safe_text(content)}</div>'}
