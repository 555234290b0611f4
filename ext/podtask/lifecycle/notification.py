"""Run the command of the user's settings when a task with ``--notify`` has ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from ..config.notification import read_notification_settings
from ..errors import InputError
from ..runner.safe_text import safe_text

COMMAND_SECONDS = 4  # less than what the end of the interpreter waits for


def notification_text(name: str, status: str, seconds: float) -> str:
    """Return what a notification says of an ended task, as the one of the runner does."""
    from ..runner.notification import notification  # start-up cost: few tasks need it

    return str(notification(name, status, seconds)["text"])


async def run_notify_command(text: str) -> None:
    """Run the command of the settings, with the text of a notification as its last word; print why it failed."""
    problem = await asyncio.to_thread(_run, text)
    if problem:
        show_late_note(problem)


def _run(text: str) -> str:
    """Run the command; return why it failed, without its words, which may contain credentials."""
    try:
        command = read_notification_settings().command
    except InputError as error:
        return str(error)
    problem = _run_words([*command, text]) if command else ""
    return f"notify_command of your settings has failed: {problem}." if problem else ""


def _run_words(words: list[str]) -> str:
    try:
        code = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return f"it did not end within {COMMAND_SECONDS} s"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or type(error).__name__
    return f"exit code {code}" if code else ""


def show_late_note(text: str) -> None:
    """Print a line on standard error: the task has ended, and its view shows nothing more."""
    print(safe_text(f"podtask: {text}"), file=sys.stderr, flush=True)
