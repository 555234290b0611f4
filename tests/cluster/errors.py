"""Errors of the test cluster, and the one way commands are run here."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_STARTED = time.monotonic()


class ClusterError(Exception):
    """The test cluster could not do what was asked; the message says what to look at."""


def tell(text: str) -> None:
    """Print one line of progress on stderr, with the seconds since the command began."""
    print(f"[{time.monotonic() - _STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def tail(path: Path, lines: int = 15) -> str:
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
        input: Its stdin.
        cwd: Where it runs.
        env: Its whole environment.
        timeout: Seconds that it may take.
        check: Raise when it fails; else its stderr follows the stdout.

    Raises:
        ClusterError: It failed; the message holds the end of what it said.
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
        said = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise ClusterError(f"{shown} ended with {done.returncode}:\n" + "\n".join(said))
    return done.stdout


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    seconds: float,
    explain: Callable[[], str] = str,
) -> None:
    """Wait until the condition holds; it may raise to end the wait early.

    Args:
        condition: Asked 20 times a second.
        what: What is waited for, for the error.
        seconds: How long.
        explain: Returns more for the error, such as the end of a log.

    Raises:
        ClusterError: It did not hold within the seconds given.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            late = f"{what} did not come within {seconds:.0f} s"
            raise ClusterError(f"{late}\n{explain()}".rstrip())
        time.sleep(0.05)
