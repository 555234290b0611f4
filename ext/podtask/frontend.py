"""The screens on which tasks are shown: a notebook's cell, or a terminal."""

from __future__ import annotations

import html
import sys
import uuid
from collections.abc import Callable
from typing import Any, Protocol

# Aligned with JupyterLab's own text.
STYLE = "padding-left:1ch;font:12px/1.6 var(--jp-code-font-family,monospace);white-space:pre-wrap;color:var(--jp-ui-font-color2,#616161)"


class Screen(Protocol):
    """Show the output and the status of a task.

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

    def status(self, text: str, key: str) -> None:
        """Show or replace the status line.

        Args:
            text: The whole line.
            key: What matters of it: a terminal prints the line again only when the key changes.
        """

    def details(self, text: str, unfolded: str) -> None:
        """Show or replace the details under the status line: as text, and as HTML that unfolds."""

    def close(self, text: str) -> None:
        """Show a separate line: the closing line, or a note."""

    def ask(self, prompt: str, password: bool) -> str:
        """Ask the user."""


class Terminal:
    """A plain terminal or a script: output is printed as it is, status and notes go to stderr."""

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
        """Do nothing: a terminal keeps its text."""

    def status(self, text: str, key: str) -> None:
        """Print the status line to a terminal when its key changes; print nothing to a file."""
        if sys.stderr.isatty() and key != self._status_key:
            print(text, file=sys.stderr, flush=True)
        self._status_key = key

    def details(self, text: str, unfolded: str) -> None:
        """Do nothing: a terminal cannot unfold."""

    def close(self, text: str) -> None:
        """Print the line to stderr."""
        print(text, file=sys.stderr, flush=True)

    def ask(self, prompt: str, password: bool) -> str:
        """Ask on the terminal."""
        import getpass  # start-up cost: rarely needed

        return getpass.getpass(prompt) if password else input(prompt)


class Notebook(Terminal):
    """A cell of a Jupyter kernel: MIME bundles, and a status line that is updated in place.

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

    def status(self, text: str, key: str) -> None:
        """Show the status line, above the output."""
        if text == self._status:
            return
        self._status = text
        self._publish(_line(text), {}, self._id, self._shown)
        self._shown = True

    def details(self, text: str, unfolded: str) -> None:
        """Show or replace the details under the status line."""
        shown, self._details = (
            bool(self._details),
            {
                "text/plain": text,
                "text/html": f'<div style="{STYLE}">{unfolded}</div>',
            },
        )
        self._publish(self._details, {}, f"{self._id}-details", shown)

    def close(self, text: str) -> None:
        """Show the line below the output."""
        self._publish(_line(text), {}, None, False)

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
            self._publish(_line(self._status), {}, self._id, False)
            if self._details:
                self._publish(self._details, {}, f"{self._id}-details", False)


class SubmittingCell(Notebook):
    """The cell that runs now; output that comes while other cells run is shown there, too.

    Usable from any thread. Every message is sent with this cell as its parent. The kernel's own
    streams and displays use the running cell, and older kernels know no other.

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
    """Return the running cell in a kernel, otherwise a terminal.

    Args:
        outlives_cell: Whether things will also be shown while other cells run.
    """
    shell = None
    if "IPython" in sys.modules:
        # Start-up cost: loaded when it is first needed.
        from IPython.core.getipython import get_ipython  # only where IPython runs

        shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return Terminal()
    return SubmittingCell(shell) if outlives_cell else Notebook(shell)


def show_live(bundle: Callable[[], dict[str, str]]) -> Callable[[], None] | None:
    """Show a display that can be refreshed in the running cell.

    Args:
        bundle: Returns the current content: MIME type -> text.

    Returns:
        A function that refreshes the display, from any thread and while other cells run; None in a
        terminal.
    """
    cell, shown = current_screen(outlives_cell=True), bundle()
    display_id = uuid.uuid4().hex
    cell.publish(shown, {}, display_id, update=False)

    def refresh() -> None:
        nonlocal shown
        before, shown = shown, bundle()
        if shown != before:
            cell.publish(shown, {}, display_id, update=True)

    return refresh if isinstance(cell, Notebook) else None


def _line(text: str) -> dict[str, Any]:
    return {"text/plain": text, "text/html": f'<div style="{STYLE}">{html.escape(text)}</div>'}
