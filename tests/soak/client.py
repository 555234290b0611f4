"""The process under test: it submits a number of tasks in parallel and reports each outcome.

It prints a line of JSON for each task that begins or ends, and for each sample of its resources.
"""

from __future__ import annotations

import argparse
import asyncio
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
from podtask.config.options import AUTO, BATCH, EXEC
from podtask.event_loop import loop
from podtask.runner.bundle import MINOR

from tests.soak import work

OUTPUTS = "value,digest"
SAMPLES = 20
IMAGE_MINOR = "3.11"
CHANNELS = (AUTO, AUTO, AUTO, EXEC, AUTO, BATCH)


def main() -> None:
    """Run the tasks, locally and in pods in a random order."""
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
        task = podtask.submit(work.source(number), options=task_options(number, local))
        running[task] = (number, local)
        write_record(began=number, local=local, pod=task.name)
        task.add_done_callback(ended.put)
        if number + 1 == given.at_once:  # the pools are full now, and connections are open
            finished = wait_until_idle(ended, running, finished, every)
    wait_until_idle(ended, running, finished, every)


def task_options(number: int, local: bool) -> RunOptions:
    """Return the options of a task: some tasks use exec, some the log."""
    channel = CHANNELS[number % len(CHANNELS)]
    if channel == BATCH and MINOR != IMAGE_MINOR:
        channel = AUTO  # batch mode needs the notebook's Python
    return RunOptions.of(
        local=local, outputs=OUTPUTS, image=f"python:{IMAGE_MINOR}-slim", channel=AUTO if local else channel
    )


def wait_until_idle(
    ended: queue.SimpleQueue[Task], running: dict[Task, tuple[int, bool]], finished: int, every: int
) -> int:
    """Wait until no task runs, report the resources of the process, and return the number of ended tasks."""
    while running:
        finished += finish(ended.get(), running)
        if finished % every == 0:
            sample(finished)
    sample(finished, rests=True)
    return finished


def finish(task: Task, running: dict[Task, tuple[int, bool]]) -> int:
    """Report the outcome of a task and drop it."""
    number, local = running.pop(task)
    error = task.error
    text = "" if error is None else f"{type(error).__name__}: {error}"
    wrong = "" if error else work.wrong(number, task.logs(), task.values)
    write_record(
        ended=number,
        local=local,
        pod=task.name,
        error=text,
        wrong=wrong,
        named=isinstance(error, PodtaskError),
    )
    return 1


def sample(finished: int, rests: bool = False) -> None:
    """Report the resources of the process, and whether no task runs."""
    if rests:
        loop().run(wait_for_deletions())
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    # Threads of asyncio's pool stay, up to the largest number that was ever used.
    threads = [each for each in threading.enumerate() if not each.name.startswith("asyncio_")]
    held = [_target(name) for name in os.listdir("/proc/self/fd")]
    write_record(
        finished=finished,
        rests=rests,
        memory=pages * os.sysconf("SC_PAGE_SIZE"),
        threads=len(threads),
        descriptors=len(held),
        sockets=sum(each.startswith("socket:") for each in held),
    )


async def wait_for_deletions() -> None:
    """Wait until the ended tasks are deleted, which closes their files."""
    await asyncio.gather(*loop()._background)


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""  # the descriptor of the listing itself


def write_record(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
