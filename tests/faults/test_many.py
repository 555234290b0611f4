"""Hundreds of detached tasks of one kernel share a watch and a loop, and each ends correctly."""

from __future__ import annotations

import json

import pytest

from tests.notebook import Kernel

from .scripts_many import Pretend
from .user import Play

MANY = 500
MAX_PAUSE_SECONDS = 5.0  # seconds without the main thread; less than one on two busy cores
SUBMIT = f"""
import json, threading, time, podtask
start = time.monotonic()
tasks = [podtask.submit(f"print({{number}})", options=podtask.RunOptions()) for number in range({MANY})]
submitted = time.monotonic() - start
"""
WAIT = """
longest, last = 0.0, time.monotonic()
while not all(task.done() for task in tasks):
    time.sleep(0.01)
    longest, last = max(longest, time.monotonic() - last), time.monotonic()
print(json.dumps({"ends": [(task.status, task.logs()) for task in tasks],
       "threads": sorted(thread.name.split("_")[0] for thread in threading.enumerate()),
       "figures": [round(each, 2) for each in (submitted, last - start, longest)]}))
"""


@pytest.mark.feature("N08")
def test_five_hundred_tasks_share_a_watch_and_a_loop(play: Play) -> None:
    """500 tasks run in parallel with one watch and one loop; each has its own line and end.

    The kernel stays responsive in the meantime.
    """
    script = Pretend(MANY)
    server = play(script)
    kernel = Kernel()
    try:
        assert kernel.run(SUBMIT, 120).error is None
        ran = kernel.run(WAIT, 120)
    finally:
        kernel.close()
    assert ran.error is None
    found = json.loads(ran.stdout)
    assert found["ends"] == [["ok", f"{number}\n"] for number in range(MANY)]
    assert script.at_once == MANY
    assert server.count("POST", "/pods") == MANY
    assert server.count("GET", "/pods", watch="1") == 1
    assert found["threads"].count("podtask") == 1
    assert len(found["threads"]) < 60, "threads do not grow with tasks"
    assert found["figures"][2] < MAX_PAUSE_SECONDS
    print("submitted, all ended, longest pause of the main thread (s):", *found["figures"])
    print("tries to connect:", server.count("GET", "/portforward"), "opened:", server.forwards.opened)
