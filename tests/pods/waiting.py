"""Helpers for tasks whose pods wait, fail to start or are terminated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import podtask
from podtask import RunOptions, Task
from podtask.runner import protocol

IMAGE = "python:3.11-slim"


def submit(template: Any, source: str = "1", **options: Any) -> Task:
    """Submit a cell in a bare image."""
    return podtask.submit(source, template=template, options=RunOptions.of(**{"image": IMAGE, **options}))


@contextmanager
def submitted(template: Any, source: str = "1", **options: Any) -> Iterator[Task]:
    """Submit a cell in a bare image, and cancel its task after the block."""
    task = submit(template, source, **options)
    try:
        yield task
    finally:
        task.cancel()


def wait_for_phase(task: Task, text: str) -> str:
    """Return the first phase line that contains a text; if the task ends before, raise its error."""
    seen = []
    while (update := task.updates.get(timeout=60)).kind != "done":
        if update.kind == "phase":
            seen.append(update.text)
            if text in update.text:
                return update.text
    raise AssertionError(f"{text!r} was not in {seen}") from task.error


def failure(task: Task) -> str:
    """Return the error of a task that cannot start."""
    error = task.exception(60)
    assert error is not None
    return f"{type(error).__name__}: {error}"


def failure_within_seconds(task: Task) -> str:
    """Return the error of a task that cannot start; check that it comes within 10 s of the first report."""
    said = failure(task)
    # A start that fails immediately is reported only once, at the end.
    said_at = [since for text, since, _ in task.steps if "(Waits for" in text]
    first = said_at[0] if said_at else task.steps[-1][1]
    assert task.seconds - first < 10, task.steps
    return said


HOLD = "print('up')\ntry:\n    input()\nexcept EOFError:\n    pass\n"  # until notes() has received them


def wait_for_input_request(task: Task) -> None:
    """Wait until a held cell requests input; a reply before that would be lost."""
    while (update := task.updates.get(timeout=60)).kind != "done":
        if update.frame is not None and update.frame.kind == protocol.INPUT_REQUEST:
            return
    raise AssertionError("the cell has asked nothing") from task.error


def notes(task: Task, count: int = 0) -> list[str]:
    """Return the notes on the containers of the pod until the task ends; release a held cell after them.

    Args:
        task: Task whose cell begins with HOLD if notes are expected.
        count: Number of notes to wait for.
    """
    found: list[str] = []
    held, asks = bool(count), False
    while (update := task.updates.get(timeout=60)).kind != "done":
        told = update.kind == "note" and "the cell keeps running" in update.text
        found += [update.text] if told else []
        asks = asks or (update.frame is not None and update.frame.kind == protocol.INPUT_REQUEST)
        if held and len(found) >= count and asks:
            task.reply({"eof": True})
            held = False
    return found
