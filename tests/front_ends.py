"""The same cells in a notebook and in a terminal: what a user sees of them, as text."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.notebook import CellOutput, Kernel, add_message

SECONDS = 30
PROMPT = re.compile(r"\n?In \[\d+\]: ")
ERASED = re.compile(r"\r\x1b\[K((?:\x1b\[1A\x1b\[K)*)")  # the rows of a status line that is rewritten
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class FrontEnd(Protocol):
    """A front end in which a user runs cells one after the other."""

    def start(self, cell: str) -> None:
        """Start a cell."""

    def until(self, text: str) -> None:
        """Wait until the running cell shows a text."""

    def interrupt(self) -> None:
        """Press the stop button, or Ctrl-C."""

    def finish(self) -> str:
        """Wait until the cell has ended; return what it has shown, line by line, with its error last."""

    def close(self) -> None:
        """End the front end."""


class NotebookFrontEnd:
    """A notebook: the messages of a Jupyter kernel.

    Args:
        env: Environment of the kernel.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self.kernel = Kernel(env)
        self._seen = CellOutput()

    def start(self, cell: str) -> None:
        """Start a cell."""
        self._seen = CellOutput()
        self.kernel.start(cell)

    def until(self, text: str) -> None:
        """Wait until the running cell shows a text."""
        for message in self.kernel.messages(SECONDS):
            add_message(self._seen, message)
            if text in self._seen.stdout or any(text in line for line in self._seen.lines):
                return
        raise AssertionError(f"the cell ended without {text!r}: {self._seen}")

    def interrupt(self) -> None:
        """Press the stop button."""
        self.kernel.interrupt()

    def finish(self) -> str:
        """Wait until the cell has ended; return its output, last status line and error."""
        for message in self.kernel.messages(SECONDS):
            add_message(self._seen, message)
        seen = self._seen
        error = seen.error[2] if seen.error else ""
        return "\n".join(filter(None, [seen.stdout, seen.stderr, *seen.lines[-1:], error]))

    def close(self) -> None:
        """End the kernel."""
        self.kernel.close()


# Ctrl-C reaches IPython, as in a terminal: a shell ignores it for what runs in its background.
IPYTHON = """
import signal
from IPython import start_ipython
signal.signal(signal.SIGINT, signal.default_int_handler)
start_ipython()
"""


class TerminalFrontEnd:
    """IPython in a pseudo terminal.

    Args:
        env: Environment of IPython.
        folder: A folder for its files.
    """

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        options = ("--simple-prompt", "--colors=nocolor", "--no-banner", "--no-confirm-exit")
        self._process = subprocess.Popen(
            [sys.executable, "-c", IPYTHON, *options],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "IPYTHONDIR": str(folder), "TERM": "xterm", "COLUMNS": "150"},
        )
        os.close(slave)
        self._folder = folder
        self._raw = ""
        self._read(lambda: PROMPT.search(self._text) is not None)

    def start(self, cell: str) -> None:
        """Start a cell."""
        (self._folder / "cell").write_text(cell)
        self._raw = ""
        line = f"get_ipython().run_cell(open({str(self._folder / 'cell')!r}).read(), store_history=True);\n"
        os.write(self._master, line.encode())

    def until(self, text: str) -> None:
        """Wait until the running cell shows a text."""
        self._read(lambda: text in self._text)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> str:
        """Wait until the prompt is back; return what the terminal shows."""
        self._read(lambda: PROMPT.search(self._text) is not None)
        return PROMPT.sub("", self._text)

    def close(self) -> None:
        """End IPython."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def _text(self) -> str:
        """What the terminal shows: the text without the rows that were erased."""
        shown, *parts = re.split(ERASED, self._raw.replace("\r\n", "\n"))
        for moves, text in zip(parts[::2], parts[1::2], strict=True):
            rows = 1 + moves.count("A")
            shown = "".join(f"{line}\n" for line in shown.split("\n")[:-rows]) + text
        return CONTROLS.sub("", shown)

    def _read(self, until: Callable[[], bool]) -> None:
        """Read until a condition holds."""
        end = time.monotonic() + SECONDS
        while not until():
            if not select.select([self._master], [], [], max(0.0, end - time.monotonic()))[0]:
                raise AssertionError(f"the terminal shows only: {self._text}")
            self._raw += os.read(self._master, 1 << 16).decode(errors="replace")
