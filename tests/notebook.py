"""An IPython shell in the test process and a Jupyter kernel in another process."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import re
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import KernelManager
from traitlets.config import Config

CELL_SECONDS = 60


@dataclass
class CellOutput:
    """Output of a cell: streams in order, displays, result, error."""

    stdout: str = ""
    stderr: str = ""
    order: list[tuple[str, str]] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: tuple[str, str, str] | None = None

    @property
    def lines(self) -> list[str]:
        """The text of podtask's own displays."""
        return [shown["text/plain"] for shown in self.displays if shown.get("text/plain", "")]


class Shell:
    """IPython shell in the test process."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        # A file of the history would stay open for each shell of the process.
        config = Config({"HistoryManager": {"hist_file": ":memory:", "enabled": False}})
        self.ip: Any = InteractiveShell.instance(config=config)
        self.ip.run_line_magic("load_ext", "podtask")

    def run(self, source: str) -> Any:
        """Run a cell and return its result; raise the error of the cell."""
        done = self.ip.run_cell(source, store_history=True)
        done.raise_error()
        return done.result

    def output(self, source: str) -> tuple[str, str]:
        """Run a cell and return (stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.run(source)
        return out.getvalue(), err.getvalue()

    def shown_error(self, source: str) -> str:
        """Run a cell that fails; return the error as IPython prints it, without colors."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            done = self.ip.run_cell(source, store_history=True)
        assert not done.success
        return strip_ansi(out.getvalue() + err.getvalue())

    def __getitem__(self, name: str) -> Any:
        return self.ip.user_ns[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.ip.user_ns[name] = value

    def close(self) -> None:
        """Close the shell."""
        self.ip.history_manager.end_session()
        InteractiveShell.clear_instance()


class Kernel:
    """Kernel process and its client.

    Args:
        env: Environment of the kernel; by default, that of this process.
        cwd: Working directory of the kernel; by default, that of this process.
    """

    def __init__(self, env: dict[str, str] | None = None, cwd: str | None = None) -> None:
        # Each kernel has its own folder. Otherwise, two kernels that start together use the same socket names.
        self._folder = tempfile.TemporaryDirectory(prefix="kernel-")
        address = os.path.join(self._folder.name, "ipc")
        self._manager = KernelManager(kernel_name="python3", transport="ipc", ip=address)
        self._manager.start_kernel(env=env or dict(os.environ), cwd=cwd or os.getcwd())
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=CELL_SECONDS)
        self._running = ""

    @property
    def pid(self) -> int:
        provisioner: Any = self._manager.provisioner
        return int(provisioner.pid)

    def start(self, source: str) -> str:
        """Start a cell; return the id that identifies its messages."""
        self._running = self._client.execute(source)
        return self._running

    def execute_silently(self, source: str) -> None:
        """Execute code as a page does for its own purposes, and wait until it has ended."""
        self._client.execute(source, silent=True, reply=True, timeout=CELL_SECONDS)

    def queue(self, source: str) -> str:
        """Queue a cell to run after the current one; return the id that identifies its messages."""
        return str(self._client.execute(source))

    def reply(self, mark: str) -> str:
        """Return how a cell ended: ok, error or aborted."""
        while True:
            message = self._client.get_shell_msg(timeout=CELL_SECONDS)
            if message["parent_header"].get("msg_id") == mark:
                return str(message["content"]["status"])

    def cells(self, until: Callable[[dict[str, CellOutput]], bool]) -> dict[str, CellOutput]:
        """Collect the messages of all cells until a condition holds; return them by cell."""
        found: dict[str, CellOutput] = {}
        while not until(found):
            message = self._client.get_iopub_msg(timeout=CELL_SECONDS)
            add_message(found.setdefault(message["parent_header"].get("msg_id"), CellOutput()), message)
        return found

    def until(self, text: str, seconds: float = CELL_SECONDS) -> CellOutput:
        """Collect messages of the running cell until its stdout contains a text."""
        ran = CellOutput()
        for message in self.messages(seconds):
            add_message(ran, message)
            if text in ran.stdout:
                return ran
        raise AssertionError(f"the cell ended without {text!r}: {ran}")

    def finish(self, seconds: float = CELL_SECONDS) -> CellOutput:
        """Collect messages until the cell has ended."""
        ran = CellOutput()
        for message in self.messages(seconds):
            add_message(ran, message)
        return ran

    def run(self, source: str, seconds: float = CELL_SECONDS) -> CellOutput:
        """Run a cell to its end."""
        self.start(source)
        return self.finish(seconds)

    @property
    def socket(self) -> Any:
        """Socket that becomes readable when a message arrives; use it to wait for several kernels."""
        return self._client.iopub_channel.socket

    def message(self) -> dict[str, Any] | None:
        """Return the next message, or None if it does not belong to the running cell."""
        message: dict[str, Any] = self._client.get_iopub_msg(timeout=1)
        return message if message["parent_header"].get("msg_id") == self._running else None

    def complete(self, source: str, cursor: int) -> dict[str, Any]:
        """Request completions as Tab does; return the content of the reply."""
        reply = self._client.complete(source, cursor, reply=True, timeout=CELL_SECONDS)
        return dict(reply["content"])

    def answer(self, text: str) -> tuple[str, bool]:
        """Answer the input request of the running cell; return (prompt, whether it asks for a password)."""
        asked = self._client.get_stdin_msg(timeout=CELL_SECONDS)["content"]
        self._client.input(text)
        return str(asked["prompt"]), bool(asked["password"])

    def interrupt(self) -> None:
        """Interrupt the cell as the stop button does."""
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill the kernel with SIGKILL, which simulates a power cut."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Shut down the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        context = self._manager.context
        context.destroy(linger=0)
        self._folder.cleanup()

    def messages(self, seconds: float) -> Any:
        """Yield the messages of the running cell until it has ended."""
        end = time.monotonic() + seconds
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the cell has not ended in {seconds} s") from None
            if message["parent_header"].get("msg_id") != self._running:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            yield message


def strip_ansi(text: str) -> str:
    """Return text without ANSI color codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def add_message(ran: CellOutput, message: dict[str, Any]) -> None:
    """Add what a message of the kernel shows to the output of its cell."""
    kind, content = message["msg_type"], message["content"]
    if kind == "stream":
        name, text = content["name"], content["text"]
        setattr(ran, name, getattr(ran, name) + text)
        ran.order.append((name, text))
    elif kind in ("display_data", "update_display_data"):
        ran.displays.append(content["data"])
    elif kind == "execute_result":
        ran.result = content["data"]
    elif kind == "error":
        ran.error = content["ename"], content["evalue"], strip_ansi("\n".join(content["traceback"]))
