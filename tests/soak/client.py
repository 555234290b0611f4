"""The process under test: submits tasks, so many at a time, and says what came of each.

A line of JSON for each that begins, ends, and for each sample of what the process holds.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import queue
import random
import threading
from pathlib import Path
from typing import Any

import podtask
from podtask import PodtaskError, RunOptions, Task

from tests.soak import work

OUTPUTS = "value,digest"
SAMPLES = 20


def main() -> None:
    """Runs the tasks, locally and in pods in a random order."""
    words = argparse.ArgumentParser()
    words.add_argument("--local", type=int, required=True)
    words.add_argument("--pods", type=int, required=True)
    words.add_argument("--at-once", type=int, required=True)
    given = words.parse_args()
    kinds = [True] * given.local + [False] * given.pods
    random.Random(1).shuffle(kinds)  # the same order in each run
    every = max(1, len(kinds) // SAMPLES)
    ended: queue.SimpleQueue[Task] = queue.SimpleQueue()
    running: dict[Task, tuple[int, bool]] = {}
    finished = 0
    for number, local in enumerate(kinds):
        if len(running) >= given.at_once:
            finished += finish(ended.get(), running)
            if finished % every == 0:
                sample(finished)
        options = RunOptions.of(local=local, outputs=OUTPUTS, image="python:3.11-slim")
        task = podtask.submit(work.source(number), options=options)
        running[task] = (number, local)
        say(began=number, local=local, pod=task.name)
        task.add_done_callback(ended.put)
    while running:
        finished += finish(ended.get(), running)
        if finished % every == 0:
            sample(finished)
    sample(finished)


def finish(task: Task, running: dict[Task, tuple[int, bool]]) -> int:
    """Says what came of a task, and forgets it."""
    number, local = running.pop(task)
    error = task.error
    text = "" if error is None else f"{type(error).__name__}: {error}"
    wrong = "" if error else work.wrong(number, task.logs(), task.values)
    say(ended=number, local=local, pod=task.name, error=text, wrong=wrong,
        named=isinstance(error, PodtaskError))  # fmt: skip
    return 1


def sample(finished: int) -> None:
    """Says what the process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    say(finished=finished, memory=pages * os.sysconf("SC_PAGE_SIZE"), threads=threading.active_count(),
        descriptors=len(os.listdir("/proc/self/fd")))  # fmt: skip


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
