"""Errors of the test cluster, and helpers that run commands and wait."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_STARTED = time.monotonic()


class ClusterError(Exception):
    """The test cluster failed; the message describes where to look."""


def print_progress(text: str) -> None:
    """Print one line of progress on stderr, with the seconds since the command began."""
    print(f"[{time.monotonic() - _STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def log_tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented, for an error message."""
    if not path.exists():
        return f"  ({path} was never written)"
    last = path.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line[:400]}" for line in last) or f"  ({path} is empty)"


def run(
    command: Sequence[str | Path],
    *,
    input: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 600,
    check: bool = True,
) -> str:
    """Run a command to its end and return its stdout.

    Args:
        command: The program and its arguments.
        input: Text for its stdin.
        cwd: Working directory of the command.
        env: Complete environment of the command.
        timeout: Time limit in seconds.
        check: Raise an error if the command fails; if False, return stdout followed by stderr.

    Raises:
        ClusterError: The command failed; the message contains the end of its output.
    """
    words = [str(word) for word in command]
    shown = " ".join(words[:6]) + (" ..." if len(words) > 6 else "")
    try:
        done = subprocess.run(
            words,
            input=input,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=cwd,
            env=env,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown} did not end within {timeout:.0f} s") from error
    if not check:
        return done.stdout + done.stderr
    if done.returncode:
        output = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise ClusterError(f"{shown} ended with {done.returncode}:\n" + "\n".join(output))
    return done.stdout


def wait_until(
    condition: Callable[[], bool],
    awaited: str,
    *,
    seconds: float,
    explain: Callable[[], str] = str,
) -> None:
    """Wait until a condition holds; the condition may raise an error to end the wait early.

    Args:
        condition: Function that is called 20 times a second.
        awaited: Description of the condition, for the error.
        seconds: Time limit.
        explain: Function that returns additional text for the error, such as the end of a log.

    Raises:
        ClusterError: The condition did not hold within the time limit.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            late = f"{awaited} did not come within {seconds:.0f} s"
            raise ClusterError(f"{late}\n{explain()}".rstrip())
        time.sleep(0.05)
