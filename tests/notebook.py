"""A notebook's two halves for the tests: an IPython shell here, and a kernel over there."""

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

CELL_SECONDS = 60


@dataclass
class Ran:
    """What a cell gave: its streams in order, displays, result, error."""

    stdout: str = ""
    stderr: str = ""
    order: list[tuple[str, str]] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: tuple[str, str, str] | None = None

    @property
    def lines(self) -> list[str]:
        """What podtask itself said: the text of the displays that are its own."""
        return [shown["text/plain"] for shown in self.displays if shown.get("text/plain", "")]


class Shell:
    """An IPython shell in this process."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        self.ip: Any = InteractiveShell.instance()
        self.ip.history_manager.enabled = False
        self.ip.run_line_magic("load_ext", "podtask")

    def run(self, source: str) -> Any:
        """Runs a cell and returns its result; raises its error."""
        done = self.ip.run_cell(source, store_history=True)
        done.raise_error()
        return done.result

    def output(self, source: str) -> tuple[str, str]:
        """Runs a cell and returns (stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.run(source)
        return out.getvalue(), err.getvalue()

    def shown_error(self, source: str) -> str:
        """Runs a cell that fails; returns what IPython shows of it, without colours."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            done = self.ip.run_cell(source, store_history=True)
        assert not done.success
        return plain(out.getvalue() + err.getvalue())

    def __getitem__(self, name: str) -> Any:
        return self.ip.user_ns[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.ip.user_ns[name] = value

    def close(self) -> None:
        """Ends the shell."""
        self.ip.history_manager.end_session()
        InteractiveShell.clear_instance()


class Kernel:
    """A kernel process and a client of it.

    Args:
        env: its environment; None for this process's.
    """

    def __init__(self, env: dict[str, str] | None = None) -> None:
        # A folder each: the names of the sockets are else those of another kernel started just now.
        self._folder = tempfile.TemporaryDirectory(prefix="kernel-")
        address = os.path.join(self._folder.name, "ipc")
        self._manager = KernelManager(kernel_name="python3", transport="ipc", ip=address)
        self._manager.start_kernel(env=env or dict(os.environ))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=CELL_SECONDS)
        self._running = ""

    @property
    def pid(self) -> int:
        provisioner: Any = self._manager.provisioner
        return int(provisioner.pid)

    def start(self, source: str) -> str:
        """Starts a cell; returns what marks its messages."""
        self._running = self._client.execute(source)
        return self._running

    def queue(self, source: str) -> str:
        """Sends a cell behind the running one; returns what marks it."""
        return str(self._client.execute(source))

    def reply(self, mark: str) -> str:
        """Returns how a cell ended: ok, error or aborted."""
        while True:
            message = self._client.get_shell_msg(timeout=CELL_SECONDS)
            if message["parent_header"].get("msg_id") == mark:
                return str(message["content"]["status"])

    def cells(self, until: Callable[[dict[str, Ran]], bool]) -> dict[str, Ran]:
        """Takes in the messages of all cells until something is so; returns them by cell."""
        found: dict[str, Ran] = {}
        while not until(found):
            message = self._client.get_iopub_msg(timeout=CELL_SECONDS)
            _take(found.setdefault(message["parent_header"].get("msg_id"), Ran()), message)
        return found

    def until(self, text: str, seconds: float = CELL_SECONDS) -> Ran:
        """Takes in messages of the running cell until its stdout has a text."""
        ran = Ran()
        for message in self.messages(seconds):
            _take(ran, message)
            if text in ran.stdout:
                return ran
        raise AssertionError(f"the cell ended without {text!r}: {ran}")

    def finish(self, seconds: float = CELL_SECONDS) -> Ran:
        """Takes in messages until the cell has ended."""
        ran = Ran()
        for message in self.messages(seconds):
            _take(ran, message)
        return ran

    def run(self, source: str, seconds: float = CELL_SECONDS) -> Ran:
        """Runs a cell to its end."""
        self.start(source)
        return self.finish(seconds)

    @property
    def socket(self) -> Any:
        """Becomes readable when there is a message, for who waits for several kernels."""
        return self._client.iopub_channel.socket

    def message(self) -> dict[str, Any] | None:
        """Returns a message that is there, None where it is not of the running cell."""
        message: dict[str, Any] = self._client.get_iopub_msg(timeout=1)
        return message if message["parent_header"].get("msg_id") == self._running else None

    def complete(self, source: str, cursor: int) -> dict[str, Any]:
        """What Tab does; returns the reply's content."""
        reply = self._client.complete(source, cursor, reply=True, timeout=CELL_SECONDS)
        return dict(reply["content"])

    def answer(self, text: str) -> tuple[str, bool]:
        """Answers what the running cell asks; returns its prompt, and whether it is a password."""
        asked = self._client.get_stdin_msg(timeout=CELL_SECONDS)["content"]
        self._client.input(text)
        return str(asked["prompt"]), bool(asked["password"])

    def interrupt(self) -> None:
        """What the stop button does."""
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """Kills the kernel with SIGKILL, as a power cut does."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends the kernel."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        context = self._manager.context
        context.destroy(linger=0)
        self._folder.cleanup()

    def messages(self, seconds: float) -> Any:
        """Yields the messages of the running cell until it has ended."""
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


def plain(text: str) -> str:
    """Returns text without ANSI colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _take(ran: Ran, message: dict[str, Any]) -> None:
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
        ran.error = content["ename"], content["evalue"], plain("\n".join(content["traceback"]))
