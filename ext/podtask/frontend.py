"""Where a task is shown: a notebook's cell, or a terminal."""

from __future__ import annotations

import html
import sys
import uuid
from collections.abc import Callable
from typing import Any, Protocol

# Its left edge is that of JupyterLab's own text.
STYLE = "padding-left:1ch;font:12px/1.6 var(--jp-code-font-family,monospace);white-space:pre-wrap;color:var(--jp-ui-font-color2,#616161)"


class Screen(Protocol):
    """Where things are shown.

    Attributes:
        keeps_status: the last status stays there to be read, so that nobody needs to say it again.
    """

    keeps_status: bool

    def write(self, name: str, text: str) -> None:
        """Writes to stdout or stderr."""

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Shows a mime bundle."""

    def clear(self, wait: bool) -> None:
        """Empties the output."""

    def status(self, text: str, key: str) -> None:
        """Show or replace the status line.

        Args:
            text: The whole line.
            key: What matters of it: a terminal prints the line again only when the key changes.
        """

    def details(self, text: str, unfolded: str) -> None:
        """Shows, or replaces, what unfolds under the status line: words, and them as HTML."""

    def close(self, text: str) -> None:
        """Shows a line of its own: the closing line, or a note."""

    def ask(self, prompt: str, password: bool) -> str:
        """Asks the person."""


class Terminal:
    """A plain terminal or a script: output as it is, status and notes to stderr."""

    keeps_status = False

    def __init__(self) -> None:
        self._status_key = ""

    def write(self, name: str, text: str) -> None:
        """Writes to stdout or stderr."""
        stream = sys.stdout if name == "stdout" else sys.stderr
        stream.write(text)
        stream.flush()

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Prints the plain text of a bundle."""
        print(data.get("text/plain", ""), flush=True)

    def clear(self, wait: bool) -> None:
        """Nothing: what stands in a terminal stays."""

    def status(self, text: str, key: str) -> None:
        """Print the status line to a terminal when its key changes; print nothing to a file."""
        if sys.stderr.isatty() and key != self._status_key:
            print(text, file=sys.stderr, flush=True)
        self._status_key = key

    def details(self, text: str, unfolded: str) -> None:
        """Nothing: a terminal does not unfold."""

    def close(self, text: str) -> None:
        """Prints it."""
        print(text, file=sys.stderr, flush=True)

    def ask(self, prompt: str, password: bool) -> str:
        """Asks on the terminal."""
        import getpass

        return getpass.getpass(prompt) if password else input(prompt)


class Notebook(Terminal):
    """A Jupyter kernel: mime bundles, and a status line that is one display all the time.

    Args:
        shell: the kernel's IPython shell.
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
        """Writes to the cell's stdout or stderr."""
        self._cleared()
        super().write(name, text)

    def publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        """Shows a mime bundle in the cell."""
        self._cleared()
        self._publish(data, metadata, display_id, update)

    def clear(self, wait: bool) -> None:
        """Empties the cell's output; the status line comes back."""
        self._clear_next = True
        if not wait:
            self._cleared()

    def status(self, text: str, key: str) -> None:
        """Show the status line, above the output."""
        if text == self._status:
            return
        self._status = text
        self._publish(_line(text), {}, self._id, self._shown)
        self._shown = True

    def details(self, text: str, unfolded: str) -> None:
        """Shows, or replaces, what unfolds under the status line."""
        shown, self._details = (
            bool(self._details),
            {
                "text/plain": text,
                "text/html": f'<div style="{STYLE}">{unfolded}</div>',
            },
        )
        self._publish(self._details, {}, f"{self._id}-details", shown)

    def close(self, text: str) -> None:
        """Shows it below the output."""
        self._publish(_line(text), {}, None, False)

    def _publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        transient = {"display_id": display_id} if display_id else None
        self._shell.display_pub.publish(data=data, metadata=metadata, transient=transient, update=update)

    def _empty(self) -> None:
        self._shell.display_pub.clear_output(wait=True)

    def _cleared(self) -> None:
        if self._clear_next:
            self._clear_next = False
            self._empty()
            self._publish(_line(self._status), {}, self._id, False)
            if self._details:
                self._publish(self._details, {}, f"{self._id}-details", False)


class Submitter(Notebook):
    """The cell that runs now, as long as the kernel lives: what is shown later lands there too.

    From any thread. Every message is sent with that cell as its parent, whatever cell runs by then;
    a kernel's own streams and displays know the running one, in older kernels no other.

    Args:
        shell: the kernel's IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._kernel = shell.kernel
        self._parent = shell.kernel.get_parent("shell")

    def write(self, name: str, text: str) -> None:
        """Writes to the cell's stdout or stderr."""
        self._cleared()
        self._send("stream", {"name": name, "text": text})

    def _publish(
        self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool
    ) -> None:
        transient = {"display_id": display_id} if display_id else {}
        content = {"data": data, "metadata": metadata, "transient": transient}
        self._send("update_display_data" if update else "display_data", content)

    def _empty(self) -> None:
        self._send("clear_output", {"wait": True})

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        kernel = self._kernel
        topic = f"kernel.{kernel.ident}.{kind}".encode()
        kernel.session.send(kernel.iopub_socket, kind, content, parent=self._parent, ident=topic)


def screen(later: bool = False) -> Screen:
    """Returns a notebook's cell in a kernel, else a Terminal.

    Args:
        later: it is to be shown there when other cells run, too.
    """
    shell = None
    if "IPython" in sys.modules:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return Terminal()
    return Submitter(shell) if later else Notebook(shell)


def stand(bundle: Callable[[], dict[str, str]]) -> Callable[[], None] | None:
    """Shows something in the cell that runs.

    Args:
        bundle: returns it as it is now: texts by their mime types.

    Returns:
        What replaces it there by what it has become, also from other threads and when other cells
        run; None in a terminal.
    """
    place, shown = screen(later=True), bundle()
    name = uuid.uuid4().hex
    place.publish(shown, {}, name, update=False)

    def again() -> None:
        nonlocal shown
        before, shown = shown, bundle()
        if shown != before:
            place.publish(shown, {}, name, update=True)

    return again if isinstance(place, Notebook) else None


def _line(text: str) -> dict[str, Any]:
    return {"text/plain": text, "text/html": f'<div style="{STYLE}">{html.escape(text)}</div>'}
