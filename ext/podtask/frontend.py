"""Where tasks are shown: in a cell of a notebook, or on a terminal."""

from __future__ import annotations

import html
import sys
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from .runner.safe_text import safe_text

# Aligned with the text that JupyterLab shows.
TEXT_STYLE = "padding-left:1ch;font:12px/1.6 var(--jp-code-font-family,monospace);white-space:pre-wrap;color:var(--jp-ui-font-color2,#616161)"


class Screen(Protocol):
    """A screen that shows the output and the status of a task.

    Attributes:
        keeps_status: Whether the last status line stays visible and need not be repeated.
    """

    keeps_status: bool

    def write(self, name: str, text: str) -> None:
        """Write to stdout or stderr."""

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Show a MIME bundle."""

    def clear(self, wait: bool) -> None:
        """Clear the output."""

    def show_status(self, text: str, key: str) -> None:
        """Show or replace the status line.

        Args:
            text: The whole line.
            key: Essential part of the line; a terminal prints the line only when the key changes.
        """

    def show_details(self, text: str, expanded_html: str) -> None:
        """Show or replace the details below the status line.

        Args:
            text: One line of text, for frontends without HTML.
            expanded_html: HTML whose parts the user can expand.
        """

    def show_line(self, text: str) -> None:
        """Show a line of its own: a note, or the closing line of the task."""

    def ask_for_input(self, prompt: str, password: bool) -> str:
        """Ask the user for a line of input and return it.

        Args:
            prompt: Text to show.
            password: Whether to hide what the user types.
        """


class Terminal:
    """A terminal or a script: output is printed unchanged, the status and notes go to stderr."""

    keeps_status = False

    def __init__(self) -> None:
        self._status_key = ""

    def write(self, name: str, text: str) -> None:
        """Write to stdout or stderr."""
        stream = sys.stdout if name == "stdout" else sys.stderr
        stream.write(text)
        stream.flush()

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Print the plain text of a bundle."""
        print(data.get("text/plain", ""), flush=True)

    def clear(self, wait: bool) -> None:
        """Do nothing: text on a terminal cannot be cleared."""

    def show_status(self, text: str, key: str) -> None:
        """Print the status line when its key changes; print nothing if stderr is not a terminal."""
        if sys.stderr.isatty() and key != self._status_key:
            print(safe_text(text), file=sys.stderr, flush=True)
        self._status_key = key

    def show_details(self, text: str, expanded_html: str) -> None:
        """Do nothing: a terminal cannot expand and collapse."""

    def show_line(self, text: str) -> None:
        """Print the line to stderr."""
        print(safe_text(text), file=sys.stderr, flush=True)

    def ask_for_input(self, prompt: str, password: bool) -> str:
        """Ask on the terminal."""
        import getpass  # start-up cost: rarely needed

        return getpass.getpass(prompt) if password else input(prompt)


class Notebook(Terminal):
    """The running cell of a Jupyter kernel: shows MIME bundles, and updates its status line in place.

    Args:
        shell: The kernel's IPython shell.
    """

    keeps_status = True

    def __init__(self, shell: Any) -> None:
        super().__init__()
        self._shell = shell
        self._id = uuid.uuid4().hex
        self._status = ""
        self._shown = False
        self._details: dict[str, Any] = {}
        self._clear_next = False

    def write(self, name: str, text: str) -> None:
        """Write to the cell's stdout or stderr."""
        self._clear_if_due()
        super().write(name, text)

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Show a MIME bundle in the cell."""
        self._clear_if_due()
        self._publish(data, metadata, display_id, update)

    def clear(self, wait: bool) -> None:
        """Clear the cell's output, but keep the status line."""
        self._clear_next = True
        if not wait:
            self._clear_if_due()

    def show_status(self, text: str, key: str) -> None:
        """Show the status line, above the output."""
        if text == self._status:
            return
        self._status = text
        self._publish(_line_bundle(text), {}, self._id, self._shown)
        self._shown = True

    def show_details(self, text: str, expanded_html: str) -> None:
        """Show or replace the details under the status line."""
        update = bool(self._details)
        html_text = f'<div style="{TEXT_STYLE}">{safe_text(expanded_html)}</div>'
        self._details = {"text/plain": safe_text(text), "text/html": html_text}
        self._publish(self._details, {}, f"{self._id}-details", update)

    def show_line(self, text: str) -> None:
        """Show the line below the output."""
        self._publish(_line_bundle(text), {}, None, False)

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
            self._publish(_line_bundle(self._status), {}, self._id, False)
            if self._details:
                self._publish(self._details, {}, f"{self._id}-details", False)


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
        return Terminal()
    return SubmittingCell(shell) if outlives_cell else Notebook(shell)


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
    text = safe_text(line)
    return {"text/plain": text, "text/html": f'<div style="{TEXT_STYLE}">{html.escape(text)}</div>'}
