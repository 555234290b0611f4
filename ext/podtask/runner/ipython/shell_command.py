"""Shell commands: expand variables, run on a terminal, collect lines of output."""

import os
import re
import string
import subprocess
import sys
from typing import Any, Iterator, List, Mapping, Sequence

from ..debug_log import logger
from ..streams import CHUNK_BYTES

SHELL_ENV = {"TERM": "xterm-color", "CLICOLOR": "1", "PAGER": "cat", "GIT_PAGER": "cat"}
DOLLAR = re.compile(r"(.*?)\$(\$?[\w\.]+)(?=([^']*'[^']*')*[^']*$)")
INTERRUPTED_SECONDS = 2  # for a command to end after an interrupt


class SList(List[str]):
    """The lines of a command's output, as in IPython; ``.l`` is the list, ``.n`` one text, ``.s`` one line."""

    @property
    def l(self) -> List[str]:  # noqa: E743 -- IPython's name
        return self

    list = l

    @property
    def n(self) -> str:
        return "\n".join(self)

    nlstr = n

    @property
    def s(self) -> str:
        return " ".join(self)

    spstr = s

    def __reduce__(self) -> Any:
        # In the notebook it becomes IPython's SList. The image may lack that class, so its name is in a string.
        constructor = "__import__('IPython.utils.text', fromlist=['SList']).SList()"
        return eval, (constructor,), None, iter(self)

    def grep(self, pattern: str, prune: bool = False) -> "SList":
        """Return the lines that match a regular expression; with ``prune`` the lines that do not."""
        found = re.compile(pattern, re.IGNORECASE)
        return SList(line for line in self if bool(found.search(line)) != prune)

    def fields(self, *numbers: int) -> Any:
        """Return the words of each line; with numbers, only those words, joined."""
        words = [line.split() for line in self]
        if not numbers:
            return words
        return SList(" ".join(row[n] for n in numbers if -len(row) <= n < len(row)) for row in words)


class Expander(string.Formatter):
    """A formatter that expands ``{expression}`` and ``$name`` in a command; ``$$`` is a dollar sign."""

    def parse(self, format_string: str) -> Iterator[Any]:
        for literal, name, spec, conversion in super().parse(format_string):
            position, text = 0, ""
            for found in DOLLAR.finditer(literal):
                before, word = found.group(1, 2)
                if word.startswith("$"):
                    text += before + word
                else:
                    yield text + before, word, "", None
                    text = ""
                position = found.end()
            yield text + literal[position:], name, spec, conversion

    def vformat(self, format_string: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        parts = []
        for literal, name, spec, conversion in self.parse(format_string):
            parts.append(literal)
            if name is not None:
                expression = f"{name}:{spec}" if spec else name  # a slice, not a format
                value = self.convert_field(eval(expression, dict(kwargs)), conversion)
                parts.append(format(value, ""))
        return "".join(parts)


def run(cmd: str) -> int:
    """Run a shell command and forward its output; return its exit status, or -signal if it was killed.

    The command writes to a terminal, as under IPython, so programs send each line at once and draw progress
    bars. The terminal combines stdout and stderr.
    """
    if cmd.rstrip().endswith("&"):
        raise OSError("Background processes not supported: use subprocess.Popen.")
    sys.stdout.flush()
    sys.stderr.flush()
    command = ["/bin/sh", "-c", cmd]
    env = {**os.environ, **SHELL_ENV}
    try:
        terminal_fd, command_fd = _open_terminal()
    except OSError as error:  # there is no /dev/pts in this container
        logger.debug("running a command without a terminal: %s", error)
        return subprocess.run(command, env=env, check=False).returncode
    with os.fdopen(terminal_fd, "rb", buffering=0) as reader:
        with os.fdopen(command_fd, "wb", buffering=0) as writer:
            child = subprocess.Popen(command, env=env, stdout=writer, stderr=writer)
        try:
            for chunk in iter(lambda: _read_terminal(reader), b""):
                sys.stdout.buffer.write(chunk)
            return child.wait()
        except BaseException:  # for example an interrupt, which the child has received, too
            try:
                child.wait(INTERRUPTED_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise


def _open_terminal() -> Any:
    # Start-up cost: loaded when it is first needed.
    import fcntl
    import pty
    import struct
    import termios

    terminal_fd, command_fd = pty.openpty()
    mode = termios.tcgetattr(command_fd)
    mode[1] &= ~termios.OPOST  # a line ends with \n, not with \r\n
    termios.tcsetattr(command_fd, termios.TCSANOW, mode)
    fcntl.ioctl(command_fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    return terminal_fd, command_fd


def _read_terminal(reader: Any) -> bytes:
    try:
        return bytes(reader.read(CHUNK_BYTES) or b"")
    except OSError:  # EIO: the last process that had the terminal open has ended
        return b""
