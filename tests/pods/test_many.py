"""Many detached tasks of one kernel share one watch and one loop, and leave nothing behind."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.errors import wait_until
from tests.notebook import Shell
from tests.pods.recording_proxy import RecordingProxy
from tests.pods.waiting import IMAGE, wait_for_phase

pytestmark = pytest.mark.cluster
COUNT = 100
AT_ONCE = 20  # as many as the node has room for; the others wait
IDLE = 32  # idle connections that are kept for the next request


@pytest.fixture
def set_capacity(cluster: Any) -> Iterator[Any]:
    """Yield a function that sets the node's amount of an extended resource, its attribute ``name``."""
    assert cluster.node
    name = f"podtask.test/test-{uuid.uuid4().hex[:8]}"

    def give(count: int | None) -> None:
        cluster.set_capacity(name, count)

    give.name = name  # type: ignore[attr-defined]
    give(0)
    yield give
    give(None)


@pytest.fixture
def proxy(
    cluster: Any, namespace: str, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RecordingProxy]:
    """Yield a proxy between the shell and the API server that records requests."""
    made = RecordingProxy(cluster.kubeconfig, tmp_path / "recorded.yaml", namespace)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    yield made
    made.close()


def threads() -> list[str]:
    """Return the names of all threads, except those of the event loop's pool, whose size is limited."""
    return sorted(each.name for each in threading.enumerate() if not each.name.startswith("asyncio_"))


def held_resources(proxy: RecordingProxy) -> tuple[list[str], int]:
    """Return the threads and the number of descriptors of this process, without those of the proxy."""
    wait_until(
        lambda: not any("portforward" in each for each in list(proxy.requests.values())),
        "the end of the tasks' connections",
        seconds=30,
    )
    return threads(), len(os.listdir("/proc/self/fd")) - 3 * proxy.connections


def nothing_added(now: tuple[list[str], int], before: tuple[list[str], int]) -> bool:
    """Return whether nothing was added; leftovers of earlier tests may have disappeared."""
    return not Counter(now[0]) - Counter(before[0]) and now[1] <= before[1]


@pytest.mark.feature("A38", "N08")
def test_hundred_detached_tasks_use_one_watch_and_one_loop(
    shell: Shell, proxy: RecordingProxy, set_capacity: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred tasks wait together, run as the node has room, and each has its own result."""
    limits = {"resources": {"limits": {set_capacity.name: "1"}}}
    shell["t"] = {"containers": [{"name": "primary", **limits}]}
    shell.run(f"%%podtask -d --image {IMAGE}\n'the first makes loop, watch and the thread that shows'")
    assert shell["_task"].result(60).startswith("the first")
    before = held_resources(proxy)
    tasks = []
    for number in range(COUNT):
        shell["number"] = number
        shell.run(f"%%podtask -d -t t --image {IMAGE}\nprint('line', number)\nnumber ** 2")
        tasks.append(shell["_task"])
    for task in tasks:
        wait_for_phase(task, "no node of this cluster has")
    # The status of the pods shows it before events are requested.
    wait_until(lambda: bool(proxy.watches("events")), "a watch of the events", seconds=30)
    assert len(proxy.watches("pods")) == 1
    assert len(proxy.watches("events")) == 1
    assert len(proxy.watches("nodes")) == 1
    assert threads().count("podtask") == 1
    assert not Counter(threads()) - Counter(before[0])
    set_capacity(AT_ONCE)
    assert [task.result(300) for task in tasks] == [number**2 for number in range(COUNT)]
    assert [task.logs() for task in tasks] == [f"line {number}\n" for number in range(COUNT)]
    wait_until(lambda: nothing_added(held_resources(proxy), before), f"no more than {before}", seconds=30)
    assert len(proxy.watches("pods")) == 1
    assert proxy.watches("events") == []
    assert proxy.watches("nodes") == []
    assert len(proxy.requests) <= IDLE + 1
