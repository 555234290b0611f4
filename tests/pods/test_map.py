"""Maps in pods of a real cluster."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.errors import Lost

from tests.notebook import Shell

pytestmark = pytest.mark.cluster
SETUP = """
import os, signal, podtask
@podtask.task
def place(x):
    print("item", x)
    return x, os.uname().nodename
@podtask.task
def hold(x):
    if x == 0:
        signal.pause()
    return x
"""


def wait_until_nothing_is_left(cluster: Any, namespace: str) -> None:
    """Wait until the namespace has no pod of podtask any more."""
    selector = "--selector=app.kubernetes.io/managed-by=podtask"
    cluster.kubectl("wait", "pods", selector, "-n", namespace, "--for=delete", "--timeout=60s")
    assert cluster.kubectl("get", "pods", selector, "-n", namespace, "--output=name") == ""


@pytest.mark.feature("N10")
def test_workers_share_the_items(pods: Shell, cluster: Any, namespace: str) -> None:
    """Few pods run many items, in order of the results, and none is left."""
    pods.run(f"{SETUP}m = place.submit_map(range(40), workers=3)\nfound = m.results(120)\nlog = m.logs(17)")
    assert [x for x, _ in pods["found"]] == list(range(40))
    names = {name for _, name in pods["found"]}
    assert len(names) <= 3
    assert all(name.startswith("podtask-") for name in names)
    assert pods["log"] == "item 17\n"
    wait_until_nothing_is_left(cluster, namespace)


@pytest.mark.feature("N10")
@pytest.mark.fault(143)
def test_item_of_a_deleted_pod_is_lost(pods: Shell, cluster: Any, namespace: str) -> None:
    """The item that runs in a pod that somebody deletes is Lost, and says so; all others have their results."""
    pods.run(f"{SETUP}m = hold.submit_map(range(12), workers=2)\nends = m.as_completed()")
    pods.run("others = sorted(next(ends)[0] for _ in range(11))")
    assert pods["others"] == list(range(1, 12))
    found = cluster.kubectl("get", "pods", "-n", namespace, "--output=name").split()
    # The other worker has no items left, so that podtask deletes its pod.
    cluster.kubectl("delete", "-n", namespace, "--wait=false", "--ignore-not-found", *found)
    pods.run("found = m.results(120)")
    lost, *others = pods["found"]
    assert others == list(range(1, 12))
    assert isinstance(lost, Lost)
    assert "Item 0 was lost with its worker" in lost.message
    assert "terminated" in lost.message
    wait_until_nothing_is_left(cluster, namespace)


@pytest.mark.feature("N10")
@pytest.mark.fault(144)
def test_second_stop_deletes_the_pods(pods: Shell, cluster: Any, namespace: str) -> None:
    """A second stop ends workers whose items run, and no pod is left."""
    pods.run(f"{SETUP}m = hold.submit_map([1, 0, 0], workers=1)\nfirst = next(m.as_completed())")
    assert pods["first"] == (0, 1)
    pods.run("m.interrupt(); m.interrupt()\nfound = m.results(120)")
    assert pods["found"][0] == 1
    assert all(isinstance(each, BaseException) for each in pods["found"][1:])
    wait_until_nothing_is_left(cluster, namespace)
